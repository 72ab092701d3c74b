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
 * What is worked out from live objects: which id a site has, what a volume's
 * metadata lacks, what of a Deployment or Service stays.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kube_render.h"

#define UID   "5f8f3f7e-0000-4000-8000-000000000001"
#define OTHER "5f8f3f7e-0000-4000-8000-000000000002"

static struct kspec spec;
static yyjson_mut_doc *doc;

static int
set_up(void **state)
{
	memset(&spec, 0, sizeof(spec));
	spec.name = "db";
	spec.ns = "shop";
	spec.uid = UID;
	spec.nsites = 2;
	spec.sites[0].name = "a";
	spec.sites[1].name = "b";
	spec.sites[0].server_id = 101;
	spec.sites[1].server_id = 102;
	doc = yyjson_mut_doc_new(NULL);
	return 0;
}

static int
tear_down(void **state)
{
	yyjson_mut_doc_free(doc);
	return 0;
}

/* ' stands for " */
static yyjson_doc *
json(const char *text)
{
	char *copy = strdup(text);
	yyjson_doc *d;

	for (char *p = copy; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	d = yyjson_read(copy, strlen(copy), 0);
	free(copy);
	assert_non_null(d);
	return d;
}

static void
is(yyjson_mut_val *v, const char *want)
{
	yyjson_doc *w = json(want);
	char *text = yyjson_mut_val_write(v, 0, NULL);
	char *expected = yyjson_val_write(yyjson_doc_get_root(w), 0, NULL);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
	free(expected);
	yyjson_doc_free(w);
}

/* ------------------------------------------------------------------ ids -- */

/* Labels may say what they like. */
#define WITH_ID(name, id)                                        \
	"{'metadata':{'name':'mysql-db-" name                    \
	"','labels':{'shipstream.io/site':'b'},'annotations':{'" \
	"bloodraven.shipstream.io/server-id':'" id "'}}}"
#define PVC_ID(site, id) WITH_ID(site "-data", id)
#define BY_ARG(site, id)                                                   \
	"{'metadata':{'name':'mysql-db-" site                              \
	"'},'spec':{'template':{'spec':{'containers':[{'name':'x','args':" \
	"['--server-id=1']},{'name':'mysql','args':['mysqld',"             \
	"'--server-id=" id "']}]}}}}"

static void
ids(void **state)
{
	yyjson_doc *deps = json("[" BY_ARG("b", "101") "]"),
		   *vols = json("[" PVC_ID("a", "103") "," PVC_ID(
		       "b", "7") "," PVC_ID("gone", "102") "]");

	/* The reference's argument, and before the volume's word. */
	kspec_server_ids(&spec, yyjson_doc_get_root(deps), NULL);
	assert_int_equal(spec.sites[1].server_id, 101);
	assert_int_equal(spec.sites[0].server_id, 102);
	kspec_server_ids(
	    &spec, yyjson_doc_get_root(deps), yyjson_doc_get_root(vols));
	assert_int_equal(spec.sites[1].server_id, 101);
	assert_int_equal(spec.sites[0].server_id, 103);
	/* Without Deployments the volumes'; what is kept is nobody else's. */
	kspec_server_ids(&spec, NULL, yyjson_doc_get_root(vols));
	assert_int_equal(spec.sites[0].server_id, 103);
	assert_int_equal(spec.sites[1].server_id, 7);
	spec.sites[1].name = "new";
	kspec_server_ids(&spec, NULL, yyjson_doc_get_root(vols));
	assert_int_equal(spec.sites[1].server_id, 101);
	yyjson_doc_free(deps);
	deps = json("[" WITH_ID("a", "5") "," WITH_ID("new", "5") "]");
	kspec_server_ids(&spec, yyjson_doc_get_root(deps), NULL);
	assert_int_equal(spec.sites[0].server_id, 5);
	assert_int_not_equal(spec.sites[1].server_id, 5);
	yyjson_doc_free(deps);
	yyjson_doc_free(vols);
}

/* -------------------------------------------------------------- volumes -- */

#define LABELS                                         \
	"'labels':{'app.kubernetes.io/name':'mysql',"  \
	"'app.kubernetes.io/instance':'db',"           \
	"'app.kubernetes.io/managed-by':'bloodraven'," \
	"'shipstream.io/failover-group':'db',"         \
	"'shipstream.io/site':'a'"
#define ANN "'annotations':{'bloodraven.shipstream.io/server-id':'101'}"
#define OURS                                                                  \
	"{'apiVersion':'shipstream.io/v1alpha1','kind':'MysqlFailoverGroup'," \
	"'name':'db','uid':'" UID "','controller':true,"                      \
	"'blockOwnerDeletion':true}"
#define THEIRS "{'kind':'ConfigMap','uid':'" OTHER "'}"

static yyjson_mut_val *
patched(const char *pvc, bool with_spec, bool own, bool adopt)
{
	struct kvol v = { .spec = with_spec ? &spec : NULL,
		.group = "db",
		.uid = UID,
		.own = own,
		.adopt = adopt };
	yyjson_doc *live = json(pvc);
	yyjson_mut_val *p = kvol_patch(doc, &v, yyjson_doc_get_root(live));

	/* It may hold texts of the live one. */
	p = p == NULL ? NULL : yyjson_mut_val_mut_copy(doc, p);
	yyjson_doc_free(live);
	return p;
}

static void
volumes(void **state)
{
	static const char good[] =
	    "{'metadata':{'name':'mysql-db-a-data','resourceVersion':'7'," LABELS
	    ",'x':'y'}," ANN "}}";
	static const char owned[] =
	    "{'metadata':{'name':'mysql-db-a-data','resourceVersion':'7',"
	    "'ownerReferences':[" THEIRS "," OURS "]," LABELS "}," ANN "}}";

	assert_null(patched(good, true, false, true));
	assert_null(patched(owned, true, true, true));
	is(patched(good, false, true, true),
	    "{'metadata':{'resourceVersion':'7','ownerReferences':[" OURS
	    "]}}");
	assert_null(patched(good, false, true, false));
	is(patched(owned, false, false, true),
	    "{'metadata':{'resourceVersion':'7','ownerReferences':[" THEIRS
	    "]}}");
	/* Without any label of ours it is known by its name. */
	is(patched("{'metadata':{'name':'mysql-db-a-data',"
		   "'resourceVersion':'7','labels':{'x':'y'}}}",
	       true, false, true),
	    "{'metadata':{'resourceVersion':'7'," LABELS "}," ANN "}}");
	is(patched("{'metadata':{'name':'mysql-db-a-data',"
		   "'resourceVersion':'7',"
		   "'labels':{'shipstream.io/site':'b'}," ANN "}}",
	       true, false, true),
	    "{'metadata':{'resourceVersion':'7'," LABELS "}," ANN "}}");
	/* That of a removed site is touched for its owner alone. */
	spec.sites[0].name = "c";
	assert_null(patched(good, true, false, true));
	is(patched(owned, true, false, true),
	    "{'metadata':{'resourceVersion':'7','ownerReferences':[" THEIRS
	    "]}}");
}

static bool
going(const char *pvc)
{
	yyjson_doc *live = json(pvc);
	bool r = kvol_going(yyjson_doc_get_root(live), UID);

	yyjson_doc_free(live);
	return r;
}

static void
volumes_going(void **state)
{
	assert_false(
	    going("{'metadata':{'ownerReferences':[" THEIRS "," OURS "]}}"));
	assert_true(going("{'metadata':{'deletionTimestamp':'now'}}"));
	assert_true(going("{'metadata':{'ownerReferences':[{'kind':"
			  "'MysqlFailoverGroup','uid':'" OTHER "'}]}}"));
}

/* ---------------------------------------------------- what is kept, or not */

#define ENV(s)                                                        \
	"{'spec':{'template':{'spec':{'containers':[{'name':'mysql'," \
	"'env':[{'name':'LEASE_TIMEOUT','value':'x'}]},"              \
	"{'name':'sidecar','env':[" s "]}]}}}}"

/* What only who reads it in the Pod sees restarts no Pod. */
static void
unhashed(void **state)
{
	yyjson_doc *live = json(ENV("{'name':'MY_SITE','value':'other'},"
				    "{'name':'PEER_ADDRESSES','value':'old'},"
				    "{'name':'LEASE_TIMEOUT','value':'20s'}")),
		   *want = json(ENV("{'name':'PEER_ADDRESSES','value':'new'},"
				    "{'name':'MY_SITE','value':'a'},"
				    "{'name':'LEASE_TIMEOUT','value':'3s'},"
				    "{'name':'BLOODRAVEN_ADDRESS','value':"
				    "'x'}"));
	yyjson_mut_val *v = yyjson_val_mut_copy(doc, yyjson_doc_get_root(want));

	assert_true(kobj_keep(doc, v, yyjson_doc_get_root(live)));
	is(v,
	    ENV("{'name':'PEER_ADDRESSES','value':'old'},"
		"{'name':'MY_SITE','value':'a'},"
		"{'name':'LEASE_TIMEOUT','value':'20s'}"));
	yyjson_doc_free(live);
	yyjson_doc_free(want);
}

static void
services(void **state)
{
	struct kobj o = { .kind = KO_SVC_SITE };
	yyjson_doc *live = json("{'spec':{'selector':{"
				"'app.kubernetes.io/name':'mysql','x':'y'},"
				"'ports':[{'name':'a','nodePort':1},"
				"{'name':'mysql','nodePort':31000}]}}");
	yyjson_mut_val *v;

	is(kservice_clear(doc, &spec, &o),
	    "{'spec':{'type':'ClusterIP','externalTrafficPolicy':null,"
	    "'loadBalancerIP':null,'loadBalancerSourceRanges':null,"
	    "'loadBalancerClass':null,'allocateLoadBalancerNodePorts':null,"
	    "'healthCheckNodePort':null}}");
	v = kobj_strip(doc, &spec, &o, yyjson_doc_get_root(live));
	is(v, "{'spec':{'selector':{'x':null}}}");
	assert_int_equal(kservice_node_port(yyjson_doc_get_root(live)), 31000);
	v = kobj_render(doc, &spec, &o);
	assert_true(kservice_keep(doc, v, 31000));
	v = yyjson_mut_obj_get(yyjson_mut_obj_get(v, "spec"), "ports");
	assert_null(
	    yyjson_mut_obj_get(yyjson_mut_arr_get_first(v), "nodePort"));
	spec.svc.type = "NodePort";
	v = kobj_render(doc, &spec, &o);
	assert_true(kservice_keep(doc, v, 31000));
	v = yyjson_mut_obj_get(yyjson_mut_obj_get(v, "spec"), "ports");
	assert_int_equal(yyjson_mut_get_int(yyjson_mut_obj_get(
			     yyjson_mut_arr_get_first(v), "nodePort")),
	    31000);
	is(kservice_clear(doc, &spec, &o),
	    "{'spec':{'type':'NodePort','externalTrafficPolicy':'Cluster',"
	    "'loadBalancerIP':null,'loadBalancerSourceRanges':null,"
	    "'loadBalancerClass':null,'allocateLoadBalancerNodePorts':null,"
	    "'healthCheckNodePort':null}}");
	yyjson_doc_free(live);
}

static void
names(void **state)
{
	char out[NAME_LEN + 1], longer[NAME_LEN + 1];

	assert_int_equal(kobj_site_name("db", "a", KO_SITE_CONFIG, out), 0);
	assert_string_equal(out, "mysql-db-a-config");
	assert_int_equal(kobj_site_name("db", "a", KO_SVC_PRIMARY, out), -1);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(kobj_site_name("db", longer, KO_PVC, out), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ids, set_up, tear_down),
		cmocka_unit_test_setup_teardown(volumes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    volumes_going, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unhashed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(services, set_up, tear_down),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("objects", tests, NULL, NULL);
}
