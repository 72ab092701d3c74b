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
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
)

// Lines as long as the largest request that a server takes.
const lineMax = int(celconfig.MaxRequestSizeBytes)

// One line of input; with old it is an update.
type request struct {
	Object json.RawMessage `json:"object"`
	Old    json.RawMessage `json:"old"`
	// What a server that knows no ratcheting (before 1.30) says.
	NoRatchet bool `json:"noRatchet"`
}

type refusal struct {
	Type   string `json:"type"`
	Field  string `json:"field"`
	Detail string `json:"detail"`
	Text   string `json:"text"`
}

type answer struct {
	Errors []refusal `json:"errors"`
	// Why no rule was asked; empty when they were.
	Blocked bool `json:"blocked"`
	// Unknown fields, which the server drops.
	Pruned []string `json:"pruned"`
	// As it would be stored.
	Object map[string]any `json:"object"`
}

func refusals(errs field.ErrorList) []refusal {
	out := []refusal{}
	for _, e := range errs {
		out = append(out, refusal{string(e.Type), e.Field, e.Detail,
			e.Error()})
	}
	return out
}

type server struct {
	structural *structuralschema.Structural
	schema     validation.SchemaValidator
	cel        *cel.Validator
}

func newServer(def *apiextensions.CustomResourceDefinition) (*server, error) {
	s, err := apiextensions.GetSchemaForVersion(def, def.Spec.Versions[0].Name)
	if err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(s.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(s.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	return &server{structural, validator,
		cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// decode is unstructuredSchemaCoercer.apply and unstructuredDefaulter.Default.
func (s *server) decode(raw json.RawMessage) (map[string]any, []string, error) {
	o := map[string]any{}
	if err := utiljson.Unmarshal(raw, &o); err != nil {
		return nil, nil, err
	}
	pruned := pruning.PruneWithOptions(o, s.structural, true,
		structuralschema.UnknownFieldPathOptions{
			TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(o, s.structural)
	defaulting.Default(o, s.structural)
	return o, pruned, nil
}

// blocked is hasBlockingErr: then rules are not asked.
func blocked(errs field.ErrorList) bool {
	for _, e := range errs {
		switch e.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired,
			field.ErrorTypeTooLong, field.ErrorTypeTooMany,
			field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}

// create is customResourceStrategy.Validate.
func (s *server) create(o map[string]any) (field.ErrorList, bool) {
	errs := validation.ValidateCustomResource(nil, o, s.schema)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural,
		o)...)
	if blocked(errs) {
		return errs, true
	}
	more, _ := s.cel.Validate(context.Background(), nil, s.structural, o, nil,
		celconfig.RuntimeCELCostBudget)
	return append(errs, more...), false
}

// update is customResourceStrategy.ValidateUpdate.
func (s *server) update(o, old map[string]any, ratchet bool) (field.ErrorList,
	bool) {
	var schemaOptions []validation.ValidationOption
	var celOptions []cel.Option
	if ratchet {
		c := common.NewCorrelatedObject(o, old,
			&model.Structural{Structural: s.structural})
		schemaOptions = append(schemaOptions, validation.WithRatcheting(c))
		celOptions = append(celOptions, cel.WithRatcheting(c))
	}
	errs := validation.ValidateCustomResourceUpdate(nil, o, old, s.schema,
		schemaOptions...)
	if len(listtype.ValidateListSetsAndMaps(nil, s.structural, old)) == 0 {
		errs = append(errs, listtype.ValidateListSetsAndMaps(nil,
			s.structural, o)...)
	}
	if blocked(errs) {
		return errs, true
	}
	more, _ := s.cel.Validate(context.Background(), nil, s.structural, o, old,
		celconfig.RuntimeCELCostBudget, celOptions...)
	return append(errs, more...), false
}

func (s *server) judge(line []byte) (answer, error) {
	var r request
	var a answer
	var errs field.ErrorList
	if err := json.Unmarshal(line, &r); err != nil {
		return a, err
	}
	o, pruned, err := s.decode(r.Object)
	if err != nil {
		return a, err
	}
	a.Pruned = append([]string{}, pruned...)
	if r.Old == nil {
		errs, a.Blocked = s.create(o)
	} else {
		old, _, err := s.decode(r.Old)
		if err != nil {
			return a, err
		}
		errs, a.Blocked = s.update(o, old, !r.NoRatchet)
	}
	a.Errors, a.Object = refusals(errs), o
	return a, nil
}

func objects(def *apiextensions.CustomResourceDefinition,
	enc *json.Encoder) error {
	s, err := newServer(def)
	if err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, lineMax)
	for n := 1; in.Scan(); n++ {
		a, err := s.judge(in.Bytes())
		if err != nil {
			return fmt.Errorf("line %d: %v", n, err)
		}
		if err := enc.Encode(a); err != nil {
			return err
		}
	}
	return in.Err()
}
