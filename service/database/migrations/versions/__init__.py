# SPDX-License-Identifier: Apache-2.0
"""Migrations, forwards in order of their ids."""
