# SPDX-License-Identifier: Apache-2.0
"""The feed: which clips a viewer is shown, in which order."""
