/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From one version to the next: what is allowed and what comes of it, what is refused and why, what differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/schema/evolve.h"

static const char base[] =
    "{\"table\":\"t\",\"table_id\":9,\"version\":4,\"next_column_id\":20,\"key\":[\"id\"],\"columns\":["
    "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
    "{\"id\":2,\"name\":\"a\",\"type\":\"int\",\"default\":\"5\"},"
    "{\"id\":3,\"name\":\"b\",\"type\":\"bigint\",\"nullable\":false},"
    "{\"id\":4,\"name\":\"m\",\"type\":\"decimal(10,2)\",\"nullable\":false,\"default\":\"1\"},"
    "{\"id\":5,\"name\":\"v\",\"type\":\"varchar(5)\"},"
    "{\"id\":6,\"name\":\"d\",\"type\":\"date\",\"default\":\"2026-01-31\"},"
    "{\"id\":7,\"name\":\"f\",\"type\":\"double\"}]}";

static struct tl_schema *base_schema(void)
{
    struct tl_schema *schema;
    struct tl_error err;

    if (tl_schema_from_text(tl_str(base), &schema, &err))
        fail_msg("%s", err.text);
    return schema;
}

/* Text with ' for ". */
static json_t *changes_of(const char *text)
{
    char *copy = strdup(text);
    json_error_t why;
    json_t *json;

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    json = json_loads(copy, 0, &why);
    if (!json)
        fail_msg("%s: %s", text, why.text);
    free(copy);
    return json;
}

static int evolve(const char *changes, struct tl_schema **out, struct tl_error *err)
{
    struct tl_schema *from = base_schema();
    json_t *json = changes_of(changes);
    int rc = tl_schema_evolve(from, json, out, err);

    json_decref(json);
    tl_schema_free(from);
    return rc;
}

/* "id:name type[!][=default]", columns parted by blanks; ! not null. */
static void shape(const struct tl_schema *schema, char *out, size_t size)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < schema->ncolumns; i++) {
        const struct tl_column *c = &schema->columns[i];
        char type[TL_TYPE_FORMAT];

        tl_type_format(&c->type, type);
        at += (size_t)snprintf(out + at, size - at, "%s%u:%s:%s%s%s%s", i ? " " : "", (unsigned)c->id,
                               c->name, type, c->nullable ? "" : "!", c->default_text ? "=" : "",
                               c->default_text ? c->default_text : "");
    }
}

#define ID                 "1:id:int! "
#define A                  "2:a:int=5 "
#define B                  "3:b:bigint! "
#define M                  "4:m:decimal(10,2)!=1.00 "
#define V                  "5:v:varchar(5) "
#define D                  "6:d:date=2026-01-31 "
#define F                  "7:f:double"
#define TYPE(column, type) "[{'op':'type','column':'" column "','type':'" type "'}]"

static void test_allowed(void **state)
{
    static const struct {
        const char *changes;
        const char *shape;
    } cases[] = {
        {"[{'op':'add','column':{'name':'N','type':'text'}}]", ID A B M V D F " 20:n:text"},
        {"[{'op':'add','column':{'name':'n','type':'int','nullable':false,'default':7}}]",
         ID A B M V D F " 20:n:int!=7"},
        {"[{'op':'drop','column':'f'},{'op':'add','column':{'name':'f','type':'text'}}]",
         ID A B M V D "20:f:text"},
        {"[{'op':'add','column':{'name':'x','type':'int'}},{'op':'add','column':{'name':'y','type':'int'}}]",
         ID A B M V D F " 20:x:int 21:y:int"},
        {"[{'op':'rename','column':'A','to':'Z'}]", ID "2:z:int=5 " B M V D F},
        {"[{'op':'rename','column':'a','to':'b'},{'op':'rename','column':'b','to':'a'}]",
         ID "2:b:int=5 3:a:bigint! " M V D F},
        {"[{'op':'rename','column':'id','to':'no'}]", "1:no:int! " A B M V D F},
        {"[{'op':'drop','column':'a'},{'op':'rename','column':'b','to':'a'}]", ID "3:a:bigint! " M V D F},
        {TYPE("a", "bigint"), ID "2:a:bigint=5 " B M V D F},
        {TYPE("a", "double"), ID "2:a:double=5 " B M V D F},
        {TYPE("a", "decimal(10,0)"), ID "2:a:decimal(10,0)=5 " B M V D F},
        {TYPE("a", "decimal(12,2)"), ID "2:a:decimal(12,2)=5.00 " B M V D F},
        {TYPE("b", "decimal(38,19)"), ID A "3:b:decimal(38,19)! " M V D F},
        {TYPE("m", "decimal(38,30)"), ID A B "4:m:decimal(38,30)!=1.000000000000000000000000000000 " V D F},
        {TYPE("m", "decimal(11,2)"), ID A B "4:m:decimal(11,2)!=1.00 " V D F},
        {TYPE("v", "varchar(6)"), ID A B M "5:v:varchar(6) " D F},
        {TYPE("v", "text"), ID A B M "5:v:text " D F},
        {TYPE("d", "timestamp"), ID A B M V "6:d:timestamp=2026-01-31 00:00:00 " F},
        {"[{'op':'type','column':'a','type':'bigint'},{'op':'default','column':'a','default':'5000000000'}]",
         ID "2:a:bigint=5000000000 " B M V D F},
        {"[{'op':'default','column':'v','default':''}]", ID A B M "5:v:varchar(5)= " D F},
        {"[{'op':'default','column':'a','default':null}]", ID "2:a:int " B M V D F},
        {"[{'op':'default','column':'m','default':null},{'op':'nullable','column':'m'}]",
         ID A B "4:m:decimal(10,2) " V D F},
        {"[{'op':'nullable','column':'b'}]", ID A "3:b:bigint " M V D F},
        {"[{'op':'default','column':'id','default':'1'}]", "1:id:int!=1 " A B M V D F},
        {"[{'op':'order','columns':['d','ID']}]", D ID A B M V F},
        {"[{'op':'rename','column':'a','to':'q'},{'op':'order','columns':['q','n']},"
         "{'op':'add','column':{'name':'n','type':'int'}}]",
         "2:q:int=5 20:n:int " ID B M V D F},
    };
    char found[1000];

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        struct tl_schema *next;
        struct tl_error err;

        if (evolve(cases[i].changes, &next, &err))
            fail_msg("%s: %s", cases[i].changes, err.text);
        shape(next, found, sizeof found);
        assert_string_equal(found, cases[i].shape);
        assert_int_equal(next->version, 5);
        assert_int_equal(next->table_id, 9);
        assert_true(next->next_column_id >= 20);
        assert_int_equal(next->nkey, 1);
        assert_int_equal(next->columns[next->key[0]].id, 1);
        tl_schema_free(next);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *changes;
        const char *part;
    } cases[] = {
        {"[]", "list of changes"},
        {"{}", "list of changes"},
        {"[7]", "\"op\""},
        {"[{'op':'explode'}]", "no change \"explode\""},
        {"[{'op':'drop','column':'a','colour':1}]", "unknown member \"colour\""},
        {"[{'op':'drop'}]", "\"column\" has to be a string"},
        {"[{'op':'drop','column':'aa'}]", "no column \"aa\""},
        {"[{'op':'drop','column':'id'}]", "in the key"},
        {"[{'op':'drop','column':'a'},{'op':'drop','column':'a'}]", "said twice"},
        {"[{'op':'drop','column':'a'},{'op':'nullable','column':'a'}]", "both dropped and changed"},
        {"[{'op':'rename','column':'a','to':'x'},{'op':'drop','column':'a'}]", "both dropped and changed"},
        {"[{'op':'rename','column':'a','to':'b'}]", "column \"b\" is there twice"},
        {"[{'op':'rename','column':'a','to':'x'},{'op':'rename','column':'b','to':'x'}]",
         "column \"x\" is there twice"},
        {"[{'op':'rename','column':'a','to':'x'},{'op':'rename','column':'x','to':'y'}]", "no column \"x\""},
        {"[{'op':'rename','column':'a','to':'1x'}]", "1x"},
        {"[{'op':'rename','column':'a','to':'_tload_x'}]", "_tload"},
        {"[{'op':'rename','column':'a','to':'a'}]", "nothing changes"},
        {"[{'op':'add','column':{'name':'a','type':'int'}}]", "column \"a\" is there twice"},
        {"[{'op':'add','column':{'name':'n','type':'int','nullable':false}}]", "has no default"},
        {"[{'op':'add','column':{'name':'n','type':'int','nullable':false,'default':null}}]",
         "has no default"},
        {"[{'op':'add','column':{'name':'n','type':'int','default':'x'}}]", "not an integer"},
        {"[{'op':'add','column':{'name':'n','type':'inte'}}]", "no type \"inte\""},
        {"[{'op':'add','column':{'name':'n','type':'int','id':3}}]", "unknown member \"id\""},
        {"[{'op':'add','column':'n int'}]", "JSON object"},
        {TYPE("a", "int"), "is int already"},
        {TYPE("id", "bigint"), "its type stays int"},
        {TYPE("a", "decimal(9,0)"), "not every value of int"},
        {TYPE("a", "decimal(11,2)"), "not every value of int"},
        {TYPE("a", "text"), "it can become bigint"},
        {TYPE("b", "int"), "not every value of bigint"},
        {TYPE("b", "double"), "not every value of bigint"},
        {TYPE("b", "decimal(18,0)"), "not every value of bigint"},
        {TYPE("m", "decimal(10,3)"), "not every value of decimal(10,2)"},
        {TYPE("m", "decimal(12,1)"), "not every value of decimal(10,2)"},
        {TYPE("m", "decimal(9,2)"), "not every value of decimal(10,2)"},
        {TYPE("m", "double"), "not every value of decimal(10,2)"},
        {TYPE("v", "varchar(4)"), "not every value of varchar(5)"},
        {TYPE("d", "timestamptz"), "not every value of date"},
        {TYPE("f", "text"), "it can become no other type"},
        {TYPE("f", "flaot"), "no type \"flaot\""},
        {"[{'op':'default','column':'a'}]", "\"default\" is missing"},
        {"[{'op':'default','column':'a','default':'x'}]", "not an integer"},
        {"[{'op':'default','column':'a','default':''}]", "not an integer"},
        {"[{'op':'default','column':'b','default':null}]", "has no default"},
        {"[{'op':'default','column':'m','default':null}]", "uploads under way"},
        {"[{'op':'default','column':'a','default':'05'}]", "nothing changes"},
        {"[{'op':'nullable','column':'id'}]", "in the key"},
        {"[{'op':'nullable','column':'a'}]", "can be null already"},
        {"[{'op':'order','columns':[]}]", "list of names"},
        {"[{'op':'order','columns':['a','a']}]", "there twice"},
        {"[{'op':'order','columns':['nope']}]", "no column \"nope\""},
        {"[{'op':'order','columns':[3]}]", "list of names"},
        {"[{'op':'order','columns':['id','a']}]", "nothing changes"},
        {"[{'op':'order','columns':['a']},{'op':'order','columns':['b']}]", "order is said twice"},
    };

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        struct tl_schema *next;
        struct tl_error err;

        if (evolve(cases[i].changes, &next, &err) == 0)
            fail_msg("taken: %s", cases[i].changes);
        assert_int_equal(err.code, TL_E_REFUSED);
        assert_null(next);
        if (!strstr(err.text, cases[i].part))
            fail_msg("%s\n  said: %s\n  not: %s", cases[i].changes, err.text, cases[i].part);
    }
}

/* Nothing of several changes is done when one is refused: the schema itself is never touched. */
static void test_leaves_the_version_alone(void **state)
{
    struct tl_schema *from = base_schema(), *next;
    json_t *changes = changes_of("[{'op':'rename','column':'a','to':'z'},{'op':'drop','column':'id'}]");
    char before[1000], after[1000];
    struct tl_error err;

    (void)state;
    shape(from, before, sizeof before);
    assert_int_equal(tl_schema_evolve(from, changes, &next, &err), -1);
    shape(from, after, sizeof after);
    assert_string_equal(before, after);
    json_decref(changes);
    tl_schema_free(from);
}

static void check_diff(const struct tl_schema *from, const struct tl_schema *to, const char *due)
{
    json_t *found = tl_schema_diff(from, to), *wanted = changes_of(due);
    char *text = json_dumps(found, JSON_COMPACT);

    if (!json_equal(found, wanted))
        fail_msg("%s instead of %s", text, due);
    free(text);
    json_decref(found);
    json_decref(wanted);
}

static void test_diff(void **state)
{
    struct tl_schema *from = base_schema(), *next;
    struct tl_error err;

    (void)state;
    check_diff(from, from, "[]");
    assert_int_equal(
        evolve("[{'op':'rename','column':'a','to':'b'},{'op':'rename','column':'b','to':'a'},"
               "{'op':'type','column':'m','type':'decimal(12,3)'},{'op':'drop','column':'v'},"
               "{'op':'nullable','column':'b'},{'op':'default','column':'a','default':null},"
               "{'op':'add','column':{'name':'v','type':'text','nullable':false,'default':'x'}}]",
               &next, &err),
        0);
    check_diff(from, next,
               "[{'op':'rename','column':'a','to':'b'},"
               "{'op':'default','column':'a','from':'5','default':null},"
               "{'op':'rename','column':'b','to':'a'},{'op':'nullable','column':'b'},"
               "{'op':'type','column':'m','from':'decimal(10,2)','type':'decimal(12,3)'},"
               "{'op':'default','column':'m','from':'1.00','default':'1.000'},"
               "{'op':'drop','column':'v'},"
               "{'op':'add','column':{'name':'v','type':'text','nullable':false,'default':'x'}}]");
    tl_schema_free(next);
    assert_int_equal(evolve("[{'op':'nullable','column':'b'},{'op':'order','columns':['f']}]", &next, &err),
                     0);
    check_diff(next, from,
               "[{'op':'not_null','column':'b'},"
               "{'op':'order','from':['f','id','a','b','m','v','d'],"
               "'columns':['id','a','b','m','v','d','f']}]");
    tl_schema_free(next);
    tl_schema_free(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_leaves_the_version_alone),
        cmocka_unit_test(test_diff),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
