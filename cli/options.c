/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/options.h"

#include <stdlib.h>

#include "cli/commands.h"
#include "shared/base/str.h"

const struct option global_options[] = {
    {.name = "coordinator",
     .kind = OPTION_TEXT,
     .arg = "URL",
     .help = "where the coordinator answers: unix:/path, http://host:port or https://host:port"},
    {.name = "tenant", .kind = OPTION_TEXT, .arg = "NAME", .help = "whose tables and uploads these are"},
    {.name = "token-file",
     .kind = OPTION_TEXT,
     .arg = "FILE",
     .complete = COMPLETE_FILE,
     .help = "file with the token that the coordinator asks for",
     .more = "Only its first line is read. One that everybody can read or write is refused."},
    {.name = "json",
     .kind = OPTION_FLAG,
     .help = "write JSON: one object, or one a line",
     .more = "Lists and what goes on (progress, rejected rows) give one object a line."},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     .help = "no progress and no notes on standard error, only errors"},
    {.name = "help",
     .letter = 'h',
     .kind = OPTION_FLAG,
     .help = "show help, of the command when one is named"},
    {.name = "version", .kind = OPTION_FLAG, .help = "show the version"},
    {.name = NULL},
};

static const struct command *const commands[] = {
#define X(symbol) &symbol,
#include "cli/commands.def"
#undef X
};

static const struct group groups[] = {
#define X(name, summary) {name, summary},
#include "cli/groups.def"
#undef X
};

const struct command *command_at(size_t i)
{
    return i < TL_ARRAY_LEN(commands) ? commands[i] : NULL;
}

/* Two neighbouring letters have changed places, and nothing else. */
static bool swapped(const char *given, size_t len, const char *name)
{
    size_t i = 0;

    while (i < len && given[i] == name[i])
        i++;
    return i + 1 < len && given[i] == name[i + 1] && given[i + 1] == name[i] &&
           memcmp(given + i + 2, name + i + 2, len - i - 2) == 0;
}

/*
 * Near enough to be meant: at most a third of the letters differ, or two are swapped, or it is the
 * beginning.
 */
static bool near(const char *given, size_t len, const char *name, unsigned *best)
{
    unsigned distance = tl_str_distance(tl_str_n(given, len), tl_str(name));
    size_t name_len = strlen(name);
    unsigned most = (unsigned)TL_MAX(TL_MAX(len, name_len) / 3, (size_t)1);

    if (len == name_len && swapped(given, len, name))
        distance = 1;
    if (distance > most && len >= 3 && len < name_len && memcmp(given, name, len) == 0)
        distance = most;
    if (distance > most || distance >= *best)
        return false;
    *best = distance;
    return true;
}

const struct group *group_find(const char *name)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(groups); i++)
        if (strcmp(groups[i].name, name) == 0)
            return &groups[i];
    return NULL;
}

const struct group *group_of(const struct command *command)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(groups); i++) {
        size_t len = strlen(groups[i].name);

        if (strncmp(command->name, groups[i].name, len) == 0 && command->name[len] == ' ')
            return &groups[i];
    }
    return NULL;
}

const char *command_word(const struct command *command)
{
    const struct group *group = group_of(command);

    return group ? command->name + strlen(group->name) + 1 : command->name;
}

/* Among the commands of the group, or, with NULL, among those of none and the groups themselves. */
static const struct command *find_among(const struct group *group, const char *word, const char **suggestion)
{
    unsigned best = ~0u;

    *suggestion = NULL;
    for (size_t i = 0; i < TL_ARRAY_LEN(commands); i++) {
        if (group_of(commands[i]) != group)
            continue;
        if (strcmp(command_word(commands[i]), word) == 0)
            return commands[i];
        if (near(word, strlen(word), command_word(commands[i]), &best))
            *suggestion = command_word(commands[i]);
    }
    for (size_t i = 0; !group && i < TL_ARRAY_LEN(groups); i++)
        if (near(word, strlen(word), groups[i].name, &best))
            *suggestion = groups[i].name;
    return NULL;
}

const struct command *command_find(const char *name, struct tl_error *err)
{
    const char *suggestion;
    const struct command *found = find_among(NULL, name, &suggestion);

    if (found)
        return found;
    if (suggestion)
        tl_fail(err, TL_E_USAGE, "unknown command '%s'; did you mean '%s'?", name, suggestion);
    else
        tl_fail(err, TL_E_USAGE, "unknown command '%s'; 'tload help' lists the commands", name);
    return NULL;
}

const struct command *group_command(const struct group *group, const char *word, struct tl_error *err)
{
    const char *suggestion;
    const struct command *found = find_among(group, word, &suggestion);

    if (found)
        return found;
    if (suggestion)
        tl_fail(err, TL_E_USAGE, "unknown command '%s %s'; did you mean '%s %s'?", group->name, word,
                group->name, suggestion);
    else
        tl_fail(err, TL_E_USAGE, "unknown command '%s %s'; 'tload help %s' lists the commands", group->name,
                word, group->name);
    return NULL;
}

static const struct option *find_in(const struct option *table, const char *name, size_t len)
{
    for (; table && table->name; table++)
        if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
            return table;
    return NULL;
}

static const struct option *find_long(const struct command *command, const char *name, size_t len)
{
    const struct option *o = command ? find_in(command->options, name, len) : NULL;

    return o ? o : find_in(global_options, name, len);
}

static const struct option *letter_in(const struct option *table, char letter)
{
    for (; table && table->name; table++)
        if (table->letter == letter)
            return table;
    return NULL;
}

static const struct option *find_letter(const struct command *command, char letter)
{
    const struct option *o = command ? letter_in(command->options, letter) : NULL;

    return o ? o : letter_in(global_options, letter);
}

static int unknown_long(const struct command *command, const char *name, size_t len, struct tl_error *err)
{
    const struct option *tables[] = {command ? command->options : NULL, global_options};
    const char *suggestion = NULL;
    unsigned best = ~0u;

    for (size_t t = 0; t < TL_ARRAY_LEN(tables); t++)
        for (const struct option *o = tables[t]; o && o->name; o++)
            if (near(name, len, o->name, &best))
                suggestion = o->name;
    tl_fail(err, TL_E_USAGE, "unknown option '--%.*s'%s%s%s%s%s", (int)len, name, command ? " of " : "",
            command ? command->name : "", suggestion ? "; did you mean '--" : "",
            suggestion ? suggestion : "", suggestion ? "'?" : "");
    return -1;
}

size_t choice_at(const char *choices, size_t i, const char **at)
{
    size_t len = strcspn(choices, "|");

    for (; i && choices[len]; i--) {
        choices += len + 1;
        len = strcspn(choices, "|");
    }
    *at = choices;
    return i ? 0 : len;
}

/* choices with ", " and " or " between them. */
static void list_choices(const char *choices, char *dst, size_t size)
{
    size_t used = 0, len;
    const char *word, *next;

    dst[0] = '\0';
    for (size_t i = 0; (len = choice_at(choices, i, &word)) > 0 && used < size; i++) {
        const char *before = i == 0 ? "" : choice_at(choices, i + 1, &next) ? ", " : " or ";

        used += (size_t)snprintf(dst + used, size - used, "%s%.*s", before, (int)len, word);
    }
}

static bool is_choice(const char *choices, const char *text)
{
    const char *word;
    size_t len;

    for (size_t i = 0; (len = choice_at(choices, i, &word)) > 0; i++)
        if (strlen(text) == len && memcmp(word, text, len) == 0)
            return true;
    return false;
}

/* text NULL: a flag. */
static int add_option(struct args *args, const struct option *o, const char *text, struct tl_error *err)
{
    struct arg *a = &args->given[args->n];
    char words[120];

    for (size_t i = 0; i < args->n; i++)
        if (args->given[i].option == o && o->kind != OPTION_LIST && o->kind != OPTION_FLAG)
            return tl_fail(err, TL_E_USAGE, "'--%s' is given twice", o->name);
    *a = (struct arg){.option = o, .text = text};
    if (text && !*text && !o->may_be_empty)
        return tl_fail(err, TL_E_USAGE, "'--%s' needs a %s that is not empty", o->name, o->arg);
    if (o->kind == OPTION_NUMBER && !tl_str_to_i64(tl_str(text), o->min, o->max, &a->number)) {
        if (o->max == INT64_MAX)
            return tl_fail(err, TL_E_USAGE, "'--%s' takes a whole number from %lld on, not '%s'", o->name,
                           (long long)o->min, text);
        return tl_fail(err, TL_E_USAGE, "'--%s' takes a whole number from %lld to %lld, not '%s'", o->name,
                       (long long)o->min, (long long)o->max, text);
    }
    if (o->kind == OPTION_CHOICE && !is_choice(o->choices, text)) {
        list_choices(o->choices, words, sizeof words);
        return tl_fail(err, TL_E_USAGE, "'--%s' takes %s, not '%s'", o->name, words, text);
    }
    args->n++;
    return 0;
}

/* `next` is the word behind, NULL at the end; *used says whether it was the option's argument. */
static int parse_long(struct args *args, const char *word, const char *next, bool *used, struct tl_error *err)
{
    const char *name = word + 2;
    size_t len = strcspn(name, "=");
    const struct option *o = find_long(args->command, name, len);

    if (!o)
        return unknown_long(args->command, name, len, err);
    if (o->kind == OPTION_FLAG) {
        if (name[len] == '=')
            return tl_fail(err, TL_E_USAGE, "'--%s' takes no argument", o->name);
        return add_option(args, o, NULL, err);
    }
    if (name[len] == '=')
        return add_option(args, o, name + len + 1, err);
    if (!next)
        return tl_fail(err, TL_E_USAGE, "'--%s' needs an argument: --%s %s", o->name, o->name, o->arg);
    *used = true;
    return add_option(args, o, next, err);
}

static int parse_letters(struct args *args, const char *word, const char *next, bool *used,
                         struct tl_error *err)
{
    for (const char *p = word + 1; *p; p++) {
        const struct option *o = find_letter(args->command, *p);

        if (!o)
            return tl_fail(err, TL_E_USAGE, "unknown option '-%c'%s%s", *p, args->command ? " of " : "",
                           args->command ? args->command->name : "");
        if (o->kind != OPTION_FLAG) {
            if (!p[1] && !next)
                return tl_fail(err, TL_E_USAGE, "'-%c' needs an argument: -%c %s", *p, *p, o->arg);
            *used = !p[1];
            return add_option(args, o, p[1] ? p + 1 : next, err);
        }
        if (add_option(args, o, NULL, err))
            return -1;
    }
    return 0;
}

static int check(const struct args *args, struct tl_error *err)
{
    const struct command *c = args->command;
    size_t min = c->first.min + c->rest.min;
    bool bounded = !c->rest.name || c->rest.max;
    size_t max = (c->first.name ? 1 : 0) + (c->rest.name ? c->rest.max : 0);

    if (args->noperands < c->first.min)
        return tl_fail(err, TL_E_USAGE, "%s needs a %s: tload %s %.*s", c->name, c->first.name, c->name,
                       (int)strcspn(c->usage, "\n"), c->usage);
    if (args->noperands < min)
        return tl_fail(err, TL_E_USAGE, "%s needs a %s: tload %s %.*s", c->name, c->rest.name, c->name,
                       (int)strcspn(c->usage, "\n"), c->usage);
    if (bounded && args->noperands > max)
        return tl_fail(err, TL_E_USAGE, "%s does not know what to do with '%s'", c->name, args->operand[max]);
    for (const struct option *o = c->options; o && o->name; o++)
        if (o->required && !args_text(args, o->name))
            return tl_fail(err, TL_E_USAGE, "%s needs '--%s %s'", c->name, o->name, o->arg);
    return 0;
}

static bool given_global(const struct args *args, const char *name)
{
    const struct option *o = find_in(global_options, name, strlen(name));

    for (size_t i = 0; i < args->n; i++)
        if (args->given[i].option == o)
            return true;
    return false;
}

/* The command's name, or one of its two words. */
static int take_command(struct args *args, const char *word, struct tl_error *err)
{
    if (!args->group) {
        args->group = group_find(word);
        if (args->group)
            return 0;
    }
    args->command = args->group ? group_command(args->group, word, err) : command_find(word, err);
    return args->command ? 0 : -1;
}

int args_parse(struct args *args, int argc, char **argv, struct tl_error *err)
{
    bool options_end = false;

    *args = (struct args){0};
    args->operand = calloc((size_t)argc + 1, sizeof *args->operand);
    /* Every word gives one option at most, but for words of letters. */
    size_t most = 1;
    for (int i = 1; i < argc; i++)
        most += 1 + strlen(argv[i]);
    args->given = calloc(most, sizeof *args->given);
    if (!args->operand || !args->given)
        return tl_fail_nomem(err);

    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool used = false;
        int rc = 0;

        if (!options_end && strcmp(word, "--") == 0) {
            options_end = true;
        } else if (!options_end && strncmp(word, "--", 2) == 0) {
            rc = parse_long(args, word, next, &used, err);
        } else if (!options_end && word[0] == '-' && word[1]) {
            rc = parse_letters(args, word, next, &used, err);
        } else if (!args->command) {
            rc = take_command(args, word, err);
        } else {
            args->operand[args->noperands++] = word;
        }
        if (rc)
            return -1;
        i += used;
    }
    args->help = given_global(args, "help");
    args->version = given_global(args, "version");
    return !args->command || args->help || args->version ? 0 : check(args, err);
}

void args_release(struct args *args)
{
    free(args->operand);
    free(args->given);
    *args = (struct args){0};
}

/* The last one given under this name; NULL: none. */
static const struct arg *find_given(const struct args *args, const char *name)
{
    const struct option *o = find_long(args->command, name, strlen(name));

    if (!o)
        abort(); /* a handler asks for what its table does not have */
    for (size_t i = args->n; i-- > 0;)
        if (args->given[i].option == o)
            return &args->given[i];
    return NULL;
}

bool args_flag(const struct args *args, const char *name)
{
    return find_given(args, name) != NULL;
}

const char *args_text(const struct args *args, const char *name)
{
    const struct arg *a = find_given(args, name);

    return a ? a->text : NULL;
}

int64_t args_number(const struct args *args, const char *name, int64_t otherwise)
{
    const struct arg *a = find_given(args, name);

    return a ? a->number : otherwise;
}

const char *args_list(const struct args *args, const char *name, size_t i)
{
    const struct arg *last = find_given(args, name);

    for (const struct arg *a = args->given; last && a <= last; a++)
        if (a->option == last->option && i-- == 0)
            return a->text;
    return NULL;
}
