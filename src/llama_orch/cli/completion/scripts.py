# SPDX-License-Identifier: GPL-3.0-or-later
"""What each shell has to read. All three ask `orch _complete SHELL WORDS...`, one `value<TAB>help` per line back.

A line `:files` instead means: the shell's own completion of file names.
"""

from __future__ import annotations

# COMP_WORDS is split at colons and equal signs, so the line itself is sent; the answer is cut at the last colon.
_BASH = r"""_orch_complete() {
    local line IFS=$'\n'
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == ":files" ]]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
            return
        fi
        COMPREPLY+=("${line%%$'\t'*}")
    done < <(orch _complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -F _orch_complete orch
"""

_ZSH = r"""#compdef orch
_orch() {
    local line; local -a values
    while IFS= read -r line; do
        if [[ $line == ":files" ]]; then _files; return; fi
        values+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done < <(orch _complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)
    _describe 'orch' values
}
compdef _orch orch
"""

_FISH = r"""function __orch_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (orch _complete fish $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c orch -f -a '(__orch_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
