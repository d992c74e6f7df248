/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table that the benchmarks of one core fill: as data.py makes its files. */
#ifndef TESTS_BENCH_ORDERS_H
#define TESTS_BENCH_ORDERS_H

#define ORDERS_COLUMNS "id,name,email,qty,price,active,created_at,note"

#define ORDERS_TABLE                                    \
    "{\"table\":\"orders\",\"columns\":["               \
    "{\"name\":\"id\",\"type\":\"bigint\"},"            \
    "{\"name\":\"name\",\"type\":\"text\"},"            \
    "{\"name\":\"email\",\"type\":\"text\"},"           \
    "{\"name\":\"qty\",\"type\":\"int\"},"              \
    "{\"name\":\"price\",\"type\":\"decimal(10,2)\"},"  \
    "{\"name\":\"active\",\"type\":\"boolean\"},"       \
    "{\"name\":\"created_at\",\"type\":\"timestamp\"}," \
    "{\"name\":\"note\",\"type\":\"text\"}],\"key\":[\"id\"]}"

#endif
