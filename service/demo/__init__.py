# SPDX-License-Identifier: Apache-2.0
"""The demonstration: a short-video platform, and three changes of its recommender that come in by webhook."""

from service.demo.deliveries import deliver
from service.demo.platform import PLATFORM, Demo, prepare

__all__ = ["PLATFORM", "Demo", "deliver", "prepare"]
