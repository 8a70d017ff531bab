# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine has to compute on, and what llama.cpp's build can use of it.

`llamacpp.ask` is llama.cpp's own list, asked in a child process (a driver that crashes or hangs takes nobody along);
`hardware.found` is what NVML, the kernel's /sys and macOS say is there; `unused` compares the two.
"""
