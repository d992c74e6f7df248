# SPDX-License-Identifier: GPL-3.0-or-later
"""Kafka Connect with Debezium's JDBC sink."""


def debezium(bench):
    raise AssertionError("none")
