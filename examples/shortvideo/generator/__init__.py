# SPDX-License-Identifier: Apache-2.0
"""Makes up a short-video platform, the people who watch it, and a panel that its reviewer would use."""
