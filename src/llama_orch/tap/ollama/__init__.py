# SPDX-License-Identifier: GPL-3.0-or-later
"""What an Ollama server tells about itself and its models: a module per path, in each `handle`."""
