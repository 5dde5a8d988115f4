# SPDX-License-Identifier: Apache-2.0
"""The shapes that the tables have had, one file a step."""
