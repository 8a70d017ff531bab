# SPDX-License-Identifier: Apache-2.0
"""Files beside a question: texts that go into it, images for models that see.

`kind.py` tells what a file is by its content, `attachment.py` is one file, `message.py` puts them into a turn.
"""
