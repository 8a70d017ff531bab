# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of the shapes that model files really have, and of those that nobody should."""

from __future__ import annotations

import json
import time

import pytest

from llama_orch.engine.template import ChatTemplate
from llama_orch_utils.errors import BadRequest, EngineFailed

SYSTEM = {"role": "system", "content": " Be kind. "}
USER = {"role": "user", "content": "Hi <b>€</b>"}
ASSISTANT = {"role": "assistant", "content": "Hello"}

LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- if tools is not none %}{{- raise_exception("no tools") }}{%- endif %}
{#- the system message comes first #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}{%- set loop_messages = messages[1:] %}
{%- else %}{%- set loop_messages = messages %}{%- endif %}
{{- bos_token }}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
        {{- raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
{%- endfor %}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}{{- "[INST] " + message["content"] + "[/INST]" }}{%- endif %}
    {%- elif message["role"] == "assistant" %}{{- " " + message["content"]|trim + eos_token}}{%- endif %}
{%- endfor %}"""

QWEN = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and not(message.content.startswith('<tool_response>')) %}
        {%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
        {%- generation %}{{- '<|im_start|>assistant\\n' ~ content ~ '<|im_end|>\\n' }}{%- endgeneration %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}"""

GEMMA = """{{ bos_token }}\
{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{% for message in messages %}
{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}
{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}
{% endfor %}
{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"""


def template(source):
    return ChatTemplate.from_model(source, "<s>", "</s>")


def test_llama_3():
    assert template(LLAMA3).render([SYSTEM, USER]) == (
        "<s><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
        "Today Date: 26 Jul 2024\n\nBe kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi <b>€</b><|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_mistral_and_its_alternation():
    mistral = template(MISTRAL)
    assert mistral.render([SYSTEM, USER, ASSISTANT, USER]) == (
        "<s>[INST] Hi <b>€</b>[/INST] Hello</s>[INST]  Be kind. \n\nHi <b>€</b>[/INST]"
    )
    with pytest.raises(BadRequest, match="roles must alternate") as caught:
        mistral.render([USER, USER])
    assert caught.value.param == "/messages"


def test_qwen_with_generation_tag_and_reversed_loop():
    assert template(QWEN).render(
        [SYSTEM, USER, {"role": "assistant", "content": "<think>x</think>\n\nHello"}, USER]
    ) == (
        "<|im_start|>system\n Be kind. <|im_end|>\n<|im_start|>user\nHi <b>€</b><|im_end|>\n"
        "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nHi <b>€</b><|im_end|>\n<|im_start|>assistant\n"
    )


def test_gemma_and_the_blocks_are_trimmed():
    gemma = template(GEMMA)
    # A space before a block is stripped, the line end after it dropped; the one after an expression stays.
    assert gemma.render([USER, ASSISTANT], add_generation_prompt=False) == (
        "<s><start_of_turn>user\nHi <b>€</b><end_of_turn>\n\n<start_of_turn>model\nHello<end_of_turn>\n\n"
    )
    assert gemma.render([USER]).endswith("<start_of_turn>model\n")
    with pytest.raises(BadRequest, match="System role not supported"):
        gemma.render([SYSTEM, USER])


@pytest.mark.parametrize("source", [None, "", " \n"])
def test_without_a_template_the_fallback_is_named(source):
    fallback = template(source)
    assert fallback.warning is not None
    assert "chatml" in fallback.warning
    assert fallback.render([USER]) == "<|im_start|>user\nHi <b>€</b><|im_end|>\n<|im_start|>assistant\n"
    assert fallback.render([USER], add_generation_prompt=False).endswith("<|im_end|>\n")
    assert template(QWEN).warning is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ {'b': 'é<', 'a': [1, none]} | tojson }}", '{"b": "é<", "a": [1, null]}'),
        ("{{ {'b': 1} | tojson(indent=2) }}", '{\n  "b": 1\n}'),
        ("{{ {'b': 1, 'a': 'é'} | tojson(sort_keys=true, ensure_ascii=true) }}", '{"a": "\\u00e9", "b": 1}'),
        ("{% for x in [1,2,3] %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "13"),
        ("{% for x in [1,2,3] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}", "1"),
        ("{% for x in range(3) %}{{ loop.length }}{{ loop.last }} {% endfor %}", "3False 3False 3True "),
        ("{% for x in [1,2,3] if x > 1 %}{{ loop.index }}{% else %}none{% endfor %}", "12"),
        ("{% for x in missing %}x{% else %}none{% endfor %}", "none"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
        ("{% for x in messages|map(attribute='role')|unique %}{{ x }}{% endfor %}", "user"),
        ("{{ messages|selectattr('role', 'equalto', 'user')|list|length }}", "1"),
        ("{% macro m(x, y='!') %}{{ x ~ y }}{% endmacro %}{{ m('a') }}{{ m('b', '?') }}", "a!b?"),
        ("{{ 'a' ~ 1 ~ none }}{{ 'x' * 3 }}{{ 2 ** 3 }}{{ 'Date 2024 %s' % 'now' }}", "a1Nonexxx8Date 2024 now"),
        ("{{ '{} in {:>4}'.format('a', 12) }} {{ '%s 2024'|format('x') }}", "a in   12 x 2024"),
        ("{{ 'a,b'.split(',')|join('-') }}{{ 'abc'[::-1] }}{{ 'a'|upper }}{{ ' x '|trim }}", "a-bcbaAx"),
        ("{{ 'x\ny'|indent(2) }}{{ 'aa'|replace('a', 'bc') }}", "x\n  ybcbc"),
        ("{{ 1 if tools is none else 2 }}{{ 'q' in 'pqr' }}{{ messages[-1].content is string }}", "1TrueTrue"),
        ("{% set ns = namespace(n=0) %}{% for i in range(10) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "45"),
        ("{% generation %}a{% set x = 1 %}{% endgeneration %}b", "ab"),
        ("{{ bos_token }}|{{ eos_token }}|{{ undefined_thing }}|", "<s>|</s>||"),
    ],
)
def test_what_hugging_face_templates_expect(source, expected):
    assert template(source).render([USER]) == expected


def test_the_date_of_today():
    before = time.strftime("%d %B %Y")
    shown = template("{{ strftime_now('%d %B %Y') }}").render([USER])
    assert shown in {before, time.strftime("%d %B %Y")}


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ raise_exception.__globals__ }}",
        "{{ strftime_now.__globals__['json'] }}",
        "{{ ''['__class__'] }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'a': 1}) }}",
        "{{ messages.clear() }}",
        "{% set ns = namespace() %}{{ ns.__init__.__globals__ }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{a.__class__}'.format_map({'a': 1}) }}",
        "{{ range.__self__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ (''|attr('__class__')) }}",
        "{% for x in (''.__class__,) %}{{ x() }}{% endfor %}",
    ],
)
def test_escapes_from_the_sandbox_are_refused(source):
    """At the load, at the latest at the first render; what Jinja turns into an undefined value must be empty."""
    try:
        rendered = template(source).render([USER])
    except (BadRequest, EngineFailed):
        return
    assert rendered == ""


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for i in 'x' * 900000 %}{% for j in range(9) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 'a' * 10**9 }}",
        "{{ [0] * 10**9 }}",
        "{{ 10**(10**10) }}",
        "{{ 9**9**9**9 }}",
        "{% set ns = namespace(s='aaaa') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='aaaa') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[0]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='aaaa') %}{% for i in range(9) %}{% set ns.s = ns.s.replace('a', ns.s) %}{% endfor %}",
        "{% set ns = namespace(s='aaaa') %}{% for i in range(9) %}{% set ns.s = ns.s|replace('a', ns.s) %}{% endfor %}",
        "{% set ns = namespace(s='aaaa') %}{% for i in range(60) %}{% set ns.s = ns.s.join(ns.s) %}{% endfor %}",
        "{% set ns = namespace(s='aaaa') %}{% for i in range(60) %}{% set ns.s=[ns.s, ns.s]|join(ns.s) %}{% endfor %}",
        "{{ '%1000000000d' % 3 }}",
        "{{ '%*d' % (1000000000, 3) }}",
        "{{ '%1000000000d'|format(3) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 1000000000) }}",
        "{{ 'a'.center(10**9) }}{{ 'a'.ljust(10**9) }}{{ 'a'.zfill(10**9) }}",
        "{{ 'a'|center(10**9) }}",
        "{{ 'a\nb'|indent(10**9) }}",
        "{{ [1]|tojson(indent=1000000000) }}",
        "{{ [1]|batch(10**9, 0)|list }}",
        "{% for i in range(90000) %}{{ 'x' * 1000 }}{% endfor %}",
    ],
)
def test_templates_that_run_away_are_stopped_in_seconds(source):
    began = time.process_time()
    with pytest.raises((EngineFailed, BadRequest)):
        template(source).render([USER])
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "source",
    ["{% for", "{{ x", "{% endfor %}", "{% if x %}", "{{ 'a' | no_such_filter }}", "{% bogus %}", "x" * 1_000_001,
     "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"],
    ids=lambda source: source[:20],
)  # fmt: skip
def test_a_broken_template_fails_the_load_in_words(source):
    with pytest.raises(EngineFailed, match="chat template") as caught:
        template(source)
    assert caught.value.hint


def test_a_broken_line_is_named():
    with pytest.raises(EngineFailed, match="line 3"):
        template("a\nb\n{% if %}")


def test_files_are_out_of_reach():
    for source in ("{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{% extends 'x' %}"):
        with pytest.raises((BadRequest, EngineFailed)):
            template(source).render([USER])


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].content.nothing.more }}",
        "{{ messages[0].content + 1 }}",
        "{{ 1 / 0 }}",
        "{{ messages[5].role.x }}",
    ],
)
def test_a_template_that_does_not_get_on_with_the_messages_says_so(source):
    with pytest.raises(BadRequest, match="cannot render these messages") as caught:
        template(source).render([USER])
    assert caught.value.param == "/messages"


def test_messages_are_bounded_before_anything_is_rendered():
    began = time.process_time()
    with pytest.raises(BadRequest, match="100000 messages; at most 4096"):
        template(LLAMA3).render([USER] * 100_000)
    assert time.process_time() - began < 1
    assert template(QWEN).render([USER] * 4096).count("<|im_start|>user") == 4096


def test_a_long_conversation_is_within_the_budget_of_every_shape():
    turns = [USER, ASSISTANT] * 2000
    for source in (LLAMA3, MISTRAL, QWEN, GEMMA):
        assert template(source).render([*turns, USER]).count("Hello") == 2000


def test_ten_megabytes_of_content_pass():
    big = {"role": "user", "content": "x" * 10_000_000}
    assert len(template(MISTRAL).render([big])) > 10_000_000


def test_the_messages_of_the_caller_stay_as_they_are():
    messages = [dict(USER)]
    template("{% set messages = messages + [{'role': 'a', 'content': 'b'}] %}{{ messages|length }}").render(messages)
    assert messages == [USER]


def test_no_messages_at_all():
    assert template(None).render([]) == "<|im_start|>assistant\n"
    with pytest.raises(BadRequest):
        template(LLAMA3).render([])


TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
CALLING = [
    {"role": "user", "content": "Go"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": "ü"}}}],
    },
    {"role": "tool", "content": "done", "tool_call_id": "1"},
]


def test_tools_and_variables_reach_the_template():
    template = ChatTemplate.from_model(
        "{{ tools | tojson }} {{ enable_thinking }} {{ reasoning_effort is defined }}", "", ""
    )
    said = template.render(CALLING, tools=[TOOL], variables={"enable_thinking": False})
    assert said == f"{json.dumps([TOOL])} False False"
    assert template.render(CALLING).startswith("null")


@pytest.mark.parametrize("name", ["messages", "tools", "bos_token", "add_generation_prompt"])
def test_a_variable_that_is_the_servers_is_refused(name):
    with pytest.raises(BadRequest) as caught:
        ChatTemplate.from_model("x", "", "").render(CALLING, variables={name: 1})
    assert caught.value.param == f"/chat_template_kwargs/{name}"


@pytest.mark.parametrize("printed", ["| tojson", ""])
def test_arguments_are_an_object_or_the_text_that_the_template_pastes(printed):
    call = (
        "{% for m in messages %}{% for c in m.tool_calls or [] %}"
        "{{ '' + (c.function.arguments FILTER) }}{% endfor %}{% endfor %}"
    )
    template = ChatTemplate.from_model(call.replace("FILTER", printed), "", "")
    assert template.render(CALLING) == '{"a": "ü"}'


def test_a_later_system_turn_is_the_users_where_the_template_refuses_it():
    source = (
        "{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('System first') }}"
        "{% endif %}[{{ m.role }}: {{ m.content }}]{% endfor %}"
    )
    turns = [{"role": role, "content": role[0]} for role in ("system", "user", "assistant", "system", "user")]
    rendered = ChatTemplate.from_model(source, "", "").render(turns)
    assert rendered == "[system: s][user: u][assistant: a][user: s\n\nu]"


def test_a_refusal_of_something_else_stays_the_templates_own():
    with pytest.raises(BadRequest, match="never"):
        ChatTemplate.from_model("{{ raise_exception('never') }}", "", "").render(
            [*CALLING, {"role": "system", "content": "x"}]
        )


def test_a_hundred_kilobytes_of_tools_fit_the_budget():
    tools = [{**TOOL, "function": {**TOOL["function"], "description": "x" * 1000}} for _ in range(100)]
    template = ChatTemplate.from_model("{% for t in tools %}{{ t | tojson(indent=4) }}{% endfor %}", "", "")
    assert len(template.render(CALLING, tools=tools)) > 100_000


SMOL = """<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}\
{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}\
{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}\
{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""
"""SmolVLM's: it knows a content as a list of parts, and nothing else."""


def test_a_template_that_knows_only_parts_gets_parts():
    answer = {"role": "assistant", "content": "Two <image-0>."}
    assert template(SMOL).render([USER, answer, USER]) == (
        "<|im_start|>User: Hi <b>€</b><end_of_utterance>\nAssistant: Two <image-0>.<end_of_utterance>\n"
        "User: Hi <b>€</b><end_of_utterance>\nAssistant:"
    )
