/* SPDX-License-Identifier: MIT */
#include <argp.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/trace.h"

struct arguments {
	const char *verb, *path;
	bool json;
};

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "info: as JSON", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'j':
		a->json = true;
		break;
	case ARGP_KEY_ARG:
		if (!a->verb)
			a->verb = arg;
		else if (!a->path)
			a->path = arg;
		else
			argp_error(state, "\"%s\": one trace at a time", arg);
		if (strcmp(a->verb, "info") && strcmp(a->verb, "check"))
			argp_error(state, "\"%s\": say info or check", a->verb);
		break;
	case ARGP_KEY_END:
		if (!a->path)
			argp_error(state, "say info or check, and name a trace");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "info|check FILE",
	.doc = "Read a region trace, plain or xz-compressed.  check: validate every line "
	       "and say nothing when all is well.  info: say what is in it.",
};

int fl_cmd_trace(int argc, char **argv)
{
	struct arguments a = { 0 };
	struct fl_complaint why = { "" };
	struct fl_trace trace = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (fl_trace_read(a.path, &trace, &why)) {
		fprintf(stderr, "faultline: %s\n", why.text);
		return FL_EXIT_USAGE;
	}
	if (!strcmp(a.verb, "info")) {
		json_t *j = a.json ? fl_trace_info_json(&trace) : NULL;

		if (j) {
			json_dumpf(j, stdout, JSON_INDENT(2));
			putchar('\n');
		} else {
			fl_trace_print_info(&trace, stdout);
		}
		json_decref(j);
	}
	fl_trace_free(&trace);
	return FL_EXIT_OK;
}
