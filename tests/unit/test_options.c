/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command line: what is understood, every refusal with its words, and that the commands' tables are
 * sound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/commands.h"
#include "cli/upload/options.h"
#include "shared/schema/coltype.h"

enum { WORDS_MAX = 24 };

/* Parses the words up to NULL. */
static int parse_v(struct args *args, struct tl_error *err, va_list ap)
{
    static char program[] = "tload";
    char *argv[WORDS_MAX] = {program};
    int argc = 1;

    while ((argv[argc] = va_arg(ap, char *)))
        argc++;
    return args_parse(args, argc, argv, err);
}

static void parse(struct args *args, ...)
{
    struct tl_error err = {0};
    va_list ap;

    va_start(ap, args);
    if (parse_v(args, &err, ap))
        fail_msg("%s", err.text);
    va_end(ap);
}

/* The words up to NULL are refused with this text. */
static void refused(const char *text, ...)
{
    struct tl_error err = {0};
    struct args args;
    va_list ap;

    va_start(ap, text);
    if (parse_v(&args, &err, ap) == 0)
        fail_msg("taken, though: %s", text);
    va_end(ap);
    assert_string_equal(err.text, text);
    assert_int_equal(err.code, TL_E_USAGE);
    args_release(&args);
}

static void test_everything_at_its_place(void **state)
{
    struct args a;

    (void)state;
    parse(&a, "--tenant", "acme", "upload", "a.csv", "-t", "orders", "--map", "A=b", "--json", "-",
          "--map=C=d", "-qn", "--null=", "--timeout", "0", "--", "-x", NULL);
    assert_ptr_equal(a.command, &command_upload);
    assert_int_equal(a.noperands, 3);
    assert_string_equal(a.operand[0], "a.csv");
    assert_string_equal(a.operand[1], "-");
    assert_string_equal(a.operand[2], "-x");
    assert_string_equal(args_text(&a, "table"), "orders");
    assert_string_equal(args_text(&a, "tenant"), "acme");
    assert_string_equal(args_text(&a, "null"), "");
    assert_string_equal(args_list(&a, "map", 0), "A=b");
    assert_string_equal(args_list(&a, "map", 1), "C=d");
    assert_null(args_list(&a, "map", 2));
    assert_int_equal(args_number(&a, "timeout", -1), 0);
    assert_true(args_flag(&a, "json"));
    assert_true(args_flag(&a, "quiet"));
    assert_true(args_flag(&a, "dry-run"));
    assert_false(args_flag(&a, "detach"));
    assert_null(args_text(&a, "columns"));
    args_release(&a);

    parse(&a, "errors", "-n5", "u1", NULL);
    assert_int_equal(args_number(&a, "limit", 0), 5);
    args_release(&a);
}

static void test_help_and_version_come_before_what_is_missing(void **state)
{
    struct args a;

    (void)state;
    parse(&a, "upload", "--help", NULL);
    assert_true(a.help);
    args_release(&a);
    parse(&a, "--version", "upload", NULL);
    assert_true(a.version);
    args_release(&a);
    parse(&a, "describe", "orders", "--version", "3", NULL);
    assert_false(a.version);
    assert_int_equal(args_number(&a, "version", 0), 3);
    args_release(&a);
    parse(&a, NULL);
    assert_null(a.command);
    args_release(&a);
}

/* Options of every command may stand before, between and behind the two words of a name. */
static void test_two_words(void **state)
{
    struct args args;

    (void)state;
    parse(&args, "--json", "cluster", "-q", "drain", "west", "--undo", NULL);
    assert_ptr_equal(args.command, &command_cluster_drain);
    assert_string_equal(args.group->name, "cluster");
    assert_int_equal(args.noperands, 1);
    assert_true(args_flag(&args, "json") && args_flag(&args, "quiet") && args_flag(&args, "undo"));
    args_release(&args);
    parse(&args, "tenant", "--help", NULL);
    assert_null(args.command);
    assert_string_equal(args.group->name, "tenant");
    args_release(&args);
    parse(&args, "tables", NULL);
    assert_null(args.group);
    args_release(&args);
}

static void test_unknown(void **state)
{
    (void)state;
    refused("unknown option '--delimeter' of upload; did you mean '--delimiter'?", "upload", "--delimeter",
            ";", NULL);
    refused("unknown option '--delimeter' of upload; did you mean '--delimiter'?", "upload", "--delimeter=;",
            NULL);
    refused("unknown option '--tenent'; did you mean '--tenant'?", "--tenent", "x", "upload", NULL);
    refused("unknown option '--jsno' of tables; did you mean '--json'?", "tables", "--jsno", NULL);
    refused("unknown option '--encoding' of upload", "upload", "--encoding", "latin1", NULL);
    refused("unknown option '--tab' of upload; did you mean '--table'?", "upload", "--tab", "x", NULL);
    refused("unknown option '--coord'; did you mean '--coordinator'?", "--coord=x", NULL);
    refused("unknown option '-z' of upload", "upload", "-z", NULL);
    refused("unknown option '-z'", "-qz", NULL);
    refused("unknown command 'uplaod'; did you mean 'upload'?", "uplaod", NULL);
    refused("unknown command 'polish'; 'tload help' lists the commands", "polish", "u1", NULL);
    refused("unknown command 'clusters'; did you mean 'cluster'?", "clusters", NULL);
    refused("unknown command 'cluster ad'; did you mean 'cluster add'?", "cluster", "ad", NULL);
    refused("unknown command 'tenant drain'; 'tload help tenant' lists the commands", "tenant", "drain", "x",
            NULL);
    refused("unknown option '--undone' of cluster drain; did you mean '--undo'?", "cluster", "drain",
            "--undone", NULL);
    refused("tenant show needs a NAME: tload tenant show NAME", "tenant", "show", NULL);
}

static void test_arguments(void **state)
{
    (void)state;
    refused("'--table' needs an argument: --table NAME", "upload", "x", "--table", NULL);
    refused("'-t' needs an argument: -t NAME", "upload", "x", "-t", NULL);
    refused("'--json' takes no argument", "tables", "--json=1", NULL);
    refused("'--table' needs a NAME that is not empty", "upload", "x", "--table=", NULL);
    refused("'--table' is given twice", "upload", "x", "--table", "a", "-t", "b", NULL);
    refused("'--timeout' takes a whole number from 0 to 31536000, not '-1'", "wait", "u", "--timeout", "-1",
            NULL);
    refused("'--timeout' takes a whole number from 0 to 31536000, not '5s'", "wait", "u", "--timeout", "5s",
            NULL);
    refused("'--limit' takes a whole number from 1 on, not '0'", "errors", "u", "--limit", "0", NULL);
    refused("'--header' takes match, skip or none, not 'no'", "upload", "x", "--header", "no", NULL);
    refused("'--header' takes match, skip or none, not 'match|skip'", "upload", "x", "--header", "match|skip",
            NULL);
}

static void test_operands(void **state)
{
    (void)state;
    refused("upload needs a FILE: tload upload FILE... --table NAME [OPTION...]", "upload", "-t", "x", NULL);
    refused("upload needs '--table NAME'", "upload", "x.csv", NULL);
    refused("wait needs a UPLOAD: tload wait UPLOAD [--timeout SECONDS]", "wait", NULL);
    refused("describe does not know what to do with 'b'", "describe", "a", "b", NULL);
    refused("tables does not know what to do with 'a'", "tables", "a", NULL);
    refused("status does not know what to do with 'b'", "status", "a", "b", NULL);
}

/* The words behind `upload x.csv -t t`, up to NULL, give these options. */
static int read_upload(struct upload_options *o, struct args *a, const char *compression,
                       struct tl_error *err, va_list ap)
{
    struct settings settings = {.compression = (char *)compression};
    char *argv[WORDS_MAX] = {(char *)"tload", (char *)"upload", (char *)"x.csv", (char *)"-t", (char *)"t"};
    int argc = 5;

    while ((argv[argc] = va_arg(ap, char *)))
        argc++;
    if (args_parse(a, argc, argv, err))
        fail_msg("%s", err->text);
    return upload_options_read(o, a, &settings, err);
}

static void upload(struct upload_options *o, struct args *a, const char *compression, ...)
{
    struct tl_error err = {0};
    va_list ap;

    va_start(ap, compression);
    if (read_upload(o, a, compression, &err, ap))
        fail_msg("%s", err.text);
    va_end(ap);
}

static void upload_refused(const char *text, ...)
{
    struct tl_error err = {0};
    struct upload_options o;
    struct args a;
    va_list ap;

    va_start(ap, text);
    if (read_upload(&o, &a, "", &err, ap) == 0)
        fail_msg("taken, though: %s", text);
    va_end(ap);
    assert_non_null(strstr(err.text, text));
    assert_int_equal(err.code, TL_E_USAGE);
    upload_options_release(&o);
    args_release(&a);
}

static void test_upload_options(void **state)
{
    struct upload_options o;
    struct args a;

    (void)state;
    upload(&o, &a, "", NULL);
    assert_string_equal(o.table, "t");
    assert_int_equal(o.nfiles, 1);
    assert_int_equal(o.dialect.delimiter, ',');
    assert_int_equal(o.dialect.quote, '"');
    assert_int_equal(o.dialect.null_len, 0);
    assert_int_equal(o.header, HEADER_MATCH);
    assert_int_equal(o.max_errors.kind, MAX_ERRORS_NONE);
    assert_true(o.timeout_ms == -1);
    assert_null(o.compression);
    upload_options_release(&o);
    args_release(&a);

    upload(&o, &a, "lz4", "--format", "tsv", "--quote", "none", "--null", "\\N", "--header=none", "--columns",
           "a,b", "--max-errors", "2.5%", "--timeout", "7", NULL);
    assert_int_equal(o.dialect.delimiter, '\t');
    assert_int_equal(o.dialect.quote, '\0');
    assert_memory_equal(o.dialect.null_text, "\\N", 2);
    assert_int_equal(o.dialect.null_len, 2);
    assert_int_equal(o.header, HEADER_NONE);
    assert_string_equal(o.columns, "a,b");
    assert_int_equal(o.max_errors.kind, MAX_ERRORS_PERCENT);
    assert_true(o.max_errors.percent == 2.5);
    assert_true(o.timeout_ms == 7000);
    assert_string_equal(o.compression, "lz4");
    upload_options_release(&o);
    args_release(&a);

    upload(&o, &a, "", "--delimiter=tab", "--max-errors=0", "--map", "a=b=c", NULL);
    assert_int_equal(o.dialect.delimiter, '\t');
    assert_int_equal(o.max_errors.kind, MAX_ERRORS_ROWS);
    assert_true(o.max_errors.rows == 0);
    assert_int_equal(o.nmap, 1);
    assert_string_equal(o.map[0], "a=b=c");
    upload_options_release(&o);
    args_release(&a);
}

static void test_upload_refusals(void **state)
{
    (void)state;
    upload_refused("'--delimiter' takes one ASCII character, not ';;'", "--delimiter", ";;", NULL);
    upload_refused("'--delimiter' takes one ASCII character", "--delimiter", "\n", NULL);
    upload_refused("'--quote' takes one ASCII character", "--quote", "\xC2\xAB", NULL);
    upload_refused("delimiter and quote are the same character", "--delimiter", "\"", NULL);
    upload_refused("'--null' takes at most 31 bytes", "--null", "12345678901234567890123456789012", NULL);
    upload_refused("'--columns' needs '--header=none'", "--columns", "a,b", NULL);
    upload_refused("'--map' is about the names in the header", "--header=skip", "--map", "a=b", NULL);
    upload_refused("'--map' takes CSV=COL", "--map", "ab", NULL);
    upload_refused("'--map' takes CSV=COL", "--map", "=b", NULL);
    upload_refused("'--map' takes CSV=COL", "--map", "a=", NULL);
    upload_refused("'--max-errors' takes a number of rows", "--max-errors", "many", NULL);
    upload_refused("'--max-errors' takes a number of rows", "--max-errors", "-1", NULL);
    upload_refused("not '101%'", "--max-errors", "101%", NULL);
    upload_refused("not '%'", "--max-errors", "%", NULL);
    upload_refused("not '1e1%'", "--max-errors", "1e1%", NULL);
    upload_refused("'--detach' does not wait", "--detach", "--timeout", "1", NULL);
    upload_refused("'--dry-run' makes no upload", "--dry-run", "--id", "x", NULL);
    upload_refused("can be read only once", "-", "-", NULL);
    upload_refused("name of a file is empty", "", NULL);
}

static void test_compression_of_the_settings_is_checked(void **state)
{
    struct settings settings = {.compression = (char *)"gzip"};
    struct tl_error err = {0};
    struct upload_options o;
    struct args a;

    (void)state;
    parse(&a, "upload", "x", "-t", "t", NULL);
    assert_int_equal(upload_options_read(&o, &a, &settings, &err), -1);
    assert_string_equal(err.text, "the compression is none, lz4 or zstd, not 'gzip'");
    upload_options_release(&o);
    args_release(&a);
}

static void check_table(const char *command, const struct option *table)
{
    for (const struct option *o = table; o && o->name; o++) {
        size_t len = strlen(o->help);

        if (o->help[0] >= 'A' && o->help[0] <= 'Z')
            fail_msg("%s --%s: help begins with a capital", command, o->name);
        if (o->help[len - 1] == '.')
            fail_msg("%s --%s: help ends in a full stop", command, o->name);
        assert_true((o->kind == OPTION_FLAG) == (o->arg == NULL));
        assert_true((o->kind == OPTION_CHOICE) == (o->choices != NULL));
        assert_true(o->kind != OPTION_NUMBER || o->min < o->max);
        for (const struct option *other = o + 1; other->name; other++) {
            assert_string_not_equal(o->name, other->name);
            assert_true(!o->letter || o->letter != other->letter);
        }
    }
}

static void test_tables_are_sound(void **state)
{
    const struct command *c;

    (void)state;
    check_table("tload", global_options);
    for (size_t i = 0; (c = command_at(i)); i++) {
        check_table(c->name, c->options);
        assert_non_null(c->examples[0]);
        assert_non_null(c->run);
        assert_true(c->summary[0] >= 'a' && c->summary[0] <= 'z');
        for (const struct option *o = c->options; o && o->name; o++)
            for (const struct option *g = global_options; g->name; g++)
                assert_true(!o->letter || o->letter != g->letter);
    }
}

static void test_help_names_every_type(void **state)
{
    (void)state;
    for (int id = 0; id < TL_TYPE_COUNT; id++) {
        const char *name = tl_coltype((enum tl_type_id)id)->name;

        if (!strstr(command_define_table.about, name))
            fail_msg("'tload help define-table' does not name the type %s", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_at_its_place),
        cmocka_unit_test(test_help_and_version_come_before_what_is_missing),
        cmocka_unit_test(test_two_words),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_operands),
        cmocka_unit_test(test_upload_options),
        cmocka_unit_test(test_upload_refusals),
        cmocka_unit_test(test_compression_of_the_settings_is_checked),
        cmocka_unit_test(test_tables_are_sound),
        cmocka_unit_test(test_help_names_every_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
