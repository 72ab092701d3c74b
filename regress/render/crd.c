/*
 * Copyright (c) 2026 The Bloodraven authors
 *
 * Permission to use, copy, modify, and distribute this software for any
 * purpose with or without fee is hereby granted, provided that the above
 * copyright notice and this permission notice appear in all copies.
 *
 * THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
 * WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
 * MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
 * ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
 * WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
 * ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
 * OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
 */

/*
 * The CustomResourceDefinition out of the schema tables, as YAML. Every text
 * is written as a JSON string, which YAML understands.
 */

#include <stdio.h>
#include <string.h>

#include "crd.h"
#include "kube_schema.h"

#define QTY_RE                                                     \
	"^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|" \
	"[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|"          \
	"(\\.[0-9]+))))?$"

static void
text(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', f);
		putc(*s, f);
	}
	putc('"', f);
}

static void
line(FILE *f, int in, const char *key, const char *value)
{
	fprintf(f, "%*s%s: ", in, "", key);
	text(f, value);
	putc('\n', f);
}

static void
plain(FILE *f, int in, const char *key, const char *value)
{
	fprintf(f, "%*s%s: %s\n", in, "", key, value);
}

static void
number(FILE *f, int in, const char *key, int64_t n)
{
	fprintf(f, "%*s%s: %lld\n", in, "", key, (long long)n);
}

static void object(FILE *, int, const struct kobject *);

static void
enumeration(FILE *f, int in, const char *set)
{
	fprintf(f, "%*senum:\n", in, "");
	while (*set != '\0') {
		size_t n = strcspn(set, "|");

		fprintf(f, "%*s- \"%.*s\"\n", in, "", (int)n, set);
		set += n + (set[n] == '|');
	}
}

static void
string(FILE *f, int in, const struct kfield *d)
{
	plain(f, in, "type", "string");
	if (d->type == KT_PAT)
		line(f, in, "pattern", d->arg);
	else if (d->type == KT_STR && d->arg != NULL)
		enumeration(f, in, d->arg);
	if (d->lo > 0)
		number(f, in, "minLength", d->lo);
	if (d->hi > 0)
		number(f, in, "maxLength", d->hi);
}

static void
any(FILE *f, int in)
{
	plain(f, in, "type", "object");
	plain(f, in, "x-kubernetes-preserve-unknown-fields", "true");
}

static void
array(FILE *f, int in, const struct kfield *d)
{
	plain(f, in, "type", "array");
	if (d->type == KT_LIST && d->lo > 0)
		number(f, in, "minItems", d->lo);
	if (d->type == KT_LIST && d->hi > 0)
		number(f, in, "maxItems", d->hi);
	if (d->type == KT_STRS && d->arg != NULL)
		plain(f, in, "maxItems", d->arg);
	if (d->flags & KF_ATOMIC)
		plain(f, in, "x-kubernetes-list-type", "atomic");
	if (d->flags & KF_MAPLIST) {
		plain(f, in, "x-kubernetes-list-type", "map");
		fprintf(f, "%*sx-kubernetes-list-map-keys:\n%*s- \"%s\"\n", in,
		    "", in, "", d->arg);
	}
	fprintf(f, "%*sitems:\n", in, "");
	if (d->type == KT_LIST)
		object(f, in + 2, d->child);
	else if (d->type == KT_ANYS)
		any(f, in + 2);
	else {
		plain(f, in + 2, "type", "string");
		if (d->hi > 0)
			number(f, in + 2, "maxLength", d->hi);
	}
}

static void
integer(FILE *f, int in, const struct kfield *d)
{
	bool i32 = d->flags & KF_I32;

	plain(f, in, "type", "integer");
	plain(f, in, "format", i32 ? "int32" : "int64");
	if (d->lo != INT64_MIN)
		number(f, in, "minimum", d->lo);
	if (d->hi != 0 && !(i32 && d->hi == INT32_MAX))
		number(f, in, "maximum", d->hi);
}

static void
field(FILE *f, int in, const struct kfield *d)
{
	fprintf(f, "%*s%s:\n", in, "", d->name);
	in += 2;
	line(f, in, "description", d->doc);
	if (d->def != NULL && (d->type == KT_INT || d->type == KT_BOOL))
		plain(f, in, "default", d->def);
	else if (d->def != NULL)
		line(f, in, "default", d->def);
	if (d->flags & KF_NULL)
		plain(f, in, "nullable", "true");
	switch (d->type) {
	case KT_STR:
	case KT_PAT:
	case KT_DUR:
		string(f, in, d);
		break;
	case KT_TIME:
		plain(f, in, "type", "string");
		plain(f, in, "format", "date-time");
		break;
	case KT_BOOL:
		plain(f, in, "type", "boolean");
		break;
	case KT_INT:
		integer(f, in, d);
		break;
	case KT_QTY:
		fprintf(f, "%*sanyOf:\n%*s- type: integer\n%*s- type: string\n",
		    in, "", in, "", in, "");
		line(f, in, "pattern", QTY_RE);
		plain(f, in, "x-kubernetes-int-or-string", "true");
		break;
	case KT_MAP:
		plain(f, in, "type", "object");
		fprintf(f, "%*sadditionalProperties:\n%*stype: string\n", in,
		    "", in + 2, "");
		break;
	case KT_ANY:
		any(f, in);
		break;
	case KT_ANYS:
	case KT_STRS:
	case KT_LIST:
		array(f, in, d);
		break;
	case KT_OBJ:
		object(f, in, d->child);
		break;
	}
}

static void
object(FILE *f, int in, const struct kobject *o)
{
	const struct kfield *d;
	const struct krule *r;
	bool some = false;

	plain(f, in, "type", "object");
	for (d = o->fields; d->name != NULL; d++) {
		if (!(d->flags & KF_REQ))
			continue;
		if (!some)
			fprintf(f, "%*srequired:\n", in, "");
		some = true;
		fprintf(f, "%*s- %s\n", in, "", d->name);
	}
	if (o->rules != NULL)
		fprintf(f, "%*sx-kubernetes-validations:\n", in, "");
	for (r = o->rules; r != NULL && r->cel != NULL; r++) {
		fprintf(f, "%*s- rule: ", in, "");
		text(f, r->cel);
		fprintf(f, "\n%*smessage: \"%s: %s\"\n", in + 2, "", r->field,
		    r->message);
	}
	fprintf(f, "%*sproperties:\n", in, "");
	for (d = o->fields; d->name != NULL; d++)
		field(f, in + 2, d);
}

static void
column(FILE *f, const char *name, const char *type, bool wide, const char *path)
{
	fprintf(f, "    - name: %s\n      type: %s\n", name, type);
	if (wide)
		fprintf(f, "      priority: 1\n");
	fprintf(f, "      jsonPath: %s\n", path);
}

static void
columns(FILE *f)
{
	fprintf(f, "    additionalPrinterColumns:\n");
	column(f, "Active", "string", false, ".status.activeSite");
	column(f, "Ready", "string", false,
	    ".status.conditions[?(@.type==\"Ready\")].status");
	column(f, "Degraded", "string", true,
	    ".status.conditions[?(@.type==\"Degraded\")].reason");
	column(f, "Blocked", "string", true,
	    ".status.conditions[?(@.type==\"PromotionBlocked\")].reason");
	column(f, "Lease", "string", true,
	    ".status.conditions[?(@.type==\"WriteLease\")].reason");
	column(f, "Updating", "string", true,
	    ".status.conditions[?(@.type==\"Updating\")].reason");
	column(f, "Sites", "string", true, ".status.siteSummary");
	column(f, "Epoch", "integer", true, ".status.authority.epoch");
	column(f, "Last-Failover", "date", true, ".status.lastFailover");
	column(f, "Age", "date", false, ".metadata.creationTimestamp");
	column(f, "Summary", "string", true, ".status.summary");
}

void
crd_print(FILE *f)
{
	fprintf(f,
	    "# Made from src/kube_schema.c by regress/render/test_crd --update: "
	    "edit that.\n"
	    "# kubectl and API servers before 1.25 do not know "
	    "x-kubernetes-validations:\n"
	    "#\tkubectl apply --validate=false -f crds/\n"
	    "apiVersion: apiextensions.k8s.io/v1\n"
	    "kind: CustomResourceDefinition\n"
	    "metadata:\n"
	    "  name: mysqlfailovergroups." BR_API_GROUP "\n"
	    "spec:\n"
	    "  group: " BR_API_GROUP "\n"
	    "  scope: Namespaced\n"
	    "  names:\n"
	    "    kind: MysqlFailoverGroup\n"
	    "    listKind: MysqlFailoverGroupList\n"
	    "    plural: mysqlfailovergroups\n"
	    "    singular: mysqlfailovergroup\n"
	    "    shortNames:\n"
	    "    - mfg\n"
	    "    categories:\n"
	    "    - bloodraven\n"
	    "    - mysql\n"
	    "  versions:\n"
	    "  - name: " BR_API_VERSION "\n"
	    "    served: true\n"
	    "    storage: true\n"
	    "    subresources:\n"
	    "      status: {}\n");
	columns(f);
	fprintf(f,
	    "    schema:\n"
	    "      openAPIV3Schema:\n"
	    "        type: object\n"
	    "        required:\n"
	    "        - spec\n"
	    "        properties:\n"
	    "          apiVersion:\n"
	    "            type: string\n"
	    "          kind:\n"
	    "            type: string\n"
	    "          metadata:\n"
	    "            type: object\n"
	    "          spec:\n");
	object(f, 12, &kschema_spec);
	fprintf(f, "          status:\n");
	object(f, 12, &kschema_status);
}
