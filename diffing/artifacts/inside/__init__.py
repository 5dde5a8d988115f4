# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined process: strict parsers and the comparison. Standard library, numpy, and named packages.

Nothing here imports another room: the sandbox holds this folder and no more of the house.
"""
