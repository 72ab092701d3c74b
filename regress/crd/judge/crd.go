// Copyright (c) 2026 The Bloodraven authors
//
// Permission to use, copy, modify, and distribute this software for any
// purpose with or without fee is hereby granted, provided that the above
// copyright notice and this permission notice appear in all copies.
//
// THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
// WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
// MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
// ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
// WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
// ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
// OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.

package main

import (
	"context"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// The first release in which rules are on by default, and what it knew of CEL.
const oldest = "1.25"

type rule struct {
	Path    string `json:"path"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
	// The worst case that the server reckons with, and whether it is known.
	Cost    uint64 `json:"cost"`
	Bounded bool   `json:"bounded"`
	// What the oldest release would say, "" for nothing.
	Oldest string `json:"oldest"`
}

type verdict struct {
	Errors    []refusal `json:"errors"`
	Rules     []rule    `json:"rules"`
	RuleLimit uint64    `json:"ruleLimit"`
	CRDLimit  uint64    `json:"crdLimit"`
}

// load reads a CRD as the server does on a request: unknown fields are errors
// (a server would drop them with a warning), defaults, the internal version.
func load(path string) (*apiextensions.CustomResourceDefinition, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	external := &v1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, external); err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	scheme.Default(external)
	def := &apiextensions.CustomResourceDefinition{}
	if err := scheme.Convert(external, def, nil); err != nil {
		return nil, err
	}
	for _, v := range def.Spec.Versions {
		if v.Storage {
			def.Status.StoredVersions = []string{v.Name}
		}
	}
	return def, nil
}

func admission(def *apiextensions.CustomResourceDefinition) verdict {
	v := verdict{
		Errors: refusals(validation.ValidateCustomResourceDefinition(
			context.Background(), def)),
		RuleLimit: validation.StaticEstimatedCostLimit,
		CRDLimit:  validation.StaticEstimatedCRDCostLimit,
	}
	for i := range def.Spec.Versions {
		s, err := apiextensions.GetSchemaForVersion(def,
			def.Spec.Versions[i].Name)
		if err != nil || s == nil || s.OpenAPIV3Schema == nil {
			continue
		}
		walk(s.OpenAPIV3Schema, nil,
			validation.RootCELContext(s.OpenAPIV3Schema), &v)
	}
	return v
}

// walk goes where the server goes and keeps what it reckons.
func walk(s *apiextensions.JSONSchemaProps, path *field.Path,
	c *validation.CELSchemaContext, v *verdict) {
	if len(s.XValidations) > 0 {
		v.Rules = append(v.Rules, rules(s, path, c)...)
	}
	for name := range s.Properties {
		p := s.Properties[name]
		walk(&p, path.Child(name), c.ChildPropertyContext(&p, name), v)
	}
	if s.Items != nil && s.Items.Schema != nil {
		walk(s.Items.Schema, path.Key("*"),
			c.ChildItemsContext(s.Items.Schema), v)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		walk(s.AdditionalProperties.Schema, path.Key("*"),
			c.ChildAdditionalPropertiesContext(
				s.AdditionalProperties.Schema), v)
	}
}

func rules(s *apiextensions.JSONSchemaProps, path *field.Path,
	c *validation.CELSchemaContext) (all []rule) {
	for _, r := range s.XValidations {
		all = append(all, rule{Path: path.String(), Rule: r.Rule,
			Message: r.Message})
	}
	info, err := c.TypeInfo()
	if err != nil || info == nil {
		return all // the server's own errors say so
	}
	compile := func(v string) ([]cel.CompilationResult, error) {
		ver := environment.DefaultCompatibilityVersion()
		if v != "" {
			ver = version.MustParseGeneric(v)
		}
		return cel.Compile(info.Schema, info.DeclType,
			celconfig.PerCallLimit, environment.MustBaseEnvSet(ver),
			cel.NewExpressionsEnvLoader())
	}
	results, err := compile("")
	if err != nil || len(results) != len(all) {
		return all
	}
	before, err := compile(oldest)
	for i := range all {
		cardinality := results[i].MaxCardinality
		if c.MaxCardinality != nil {
			cardinality = *c.MaxCardinality
		}
		all[i].Bounded = c.MaxCardinality != nil
		all[i].Cost = product(results[i].MaxCost, cardinality)
		switch {
		case err != nil:
			all[i].Oldest = err.Error()
		case before[i].Error != nil:
			all[i].Oldest = fmt.Sprint(before[i].Error)
		}
	}
	return all
}

func product(a, b uint64) uint64 {
	if a == 0 || b == 0 {
		return 0
	}
	if a*b/b != a {
		return ^uint64(0)
	}
	return a * b
}
