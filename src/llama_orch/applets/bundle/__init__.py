# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agency hands to its client: applets under a name of their own, signed, installed without a network.

`brand.toml` says what it is (`wish`), `pack` makes it, `signing` signs it, `opening` checks it and looks inside.

| file of a bundle | what |
|---|---|
| bundle.json | name, version, applets, the signer's public key, and the SHA-256 of every other file |
| bundle.sig | the Ed25519 signature of bundle.json, base64 |
| install.py | installs it with Python alone |
| requirements.txt, wheels/ | every package, pinned by hashes |
| NOTICES.txt | the licences of all of them |
"""
