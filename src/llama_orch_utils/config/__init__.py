# SPDX-License-Identifier: Apache-2.0
"""What the user has chosen, and where each choice came from.

    config.load().get("model").value      the value that counts
    config.load().get("model").origin     flag, environment, project, user or default, and the file or variable

Precedence: flag, environment, project file (`orch.toml`), user file (`config.toml`), default.
"""

from llama_orch_utils.facade import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from llama_orch_utils.config.loading import Config as Config
    from llama_orch_utils.config.loading import TargetEntry as TargetEntry
    from llama_orch_utils.config.loading import load as load
    from llama_orch_utils.config.origin import Origin as Origin
    from llama_orch_utils.config.origin import Value as Value
    from llama_orch_utils.config.settings import SETTINGS as SETTINGS
    from llama_orch_utils.config.settings import Setting as Setting
    from llama_orch_utils.config.settings import SettingValue as SettingValue
    from llama_orch_utils.config.store import project_file as project_file
    from llama_orch_utils.config.store import set_value as set_value
    from llama_orch_utils.config.store import unset_value as unset_value
    from llama_orch_utils.config.store import user_file as user_file

_HOME_OF = {
    "Config": "loading",
    "TargetEntry": "loading",
    "load": "loading",
    "Origin": "origin",
    "Value": "origin",
    "SETTINGS": "settings",
    "Setting": "settings",
    "SettingValue": "settings",
    "project_file": "store",
    "set_value": "store",
    "unset_value": "store",
    "user_file": "store",
}

__all__ = [
    "SETTINGS",
    "Config",
    "Origin",
    "Setting",
    "SettingValue",
    "TargetEntry",
    "Value",
    "load",
    "project_file",
    "set_value",
    "unset_value",
    "user_file",
]

__getattr__ = lazy(__name__, _HOME_OF)
