package webd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// described is api.json, for looking into.
type described struct {
	t   *testing.T
	doc map[string]any
}

func readDescription(t *testing.T) described {
	t.Helper()
	d := described{t: t}
	if err := json.Unmarshal(apiDescription, &d.doc); err != nil {
		t.Fatal(err)
	}
	return d
}

// at follows keys into the document.
func (d described) at(keys ...string) map[string]any {
	d.t.Helper()
	here := d.doc
	for _, k := range keys {
		next, ok := here[k].(map[string]any)
		if !ok {
			return nil
		}
		if ref, ok := next["$ref"].(string); ok {
			next = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			if next == nil {
				d.t.Fatalf("%s leads nowhere", ref)
			}
		}
		here = next
	}
	return here
}

// check reports where a value is not as a schema says.
func (d described) check(where string, schema map[string]any, value any) {
	d.t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		schema = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	if schema == nil {
		d.t.Errorf("%s: there is no schema", where)
		return
	}
	switch schema["type"] {
	case "object":
		o, ok := value.(map[string]any)
		if !ok {
			d.t.Errorf("%s: %v is no object", where, value)
			return
		}
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, there := o[name.(string)]; !there {
				d.t.Errorf("%s lacks %s", where, name)
			}
		}
		for name, v := range o {
			if p, known := properties[name].(map[string]any); known {
				d.check(where+"."+name, p, v)
			} else if schema["additionalProperties"] == false {
				d.t.Errorf("%s.%s is not described", where, name)
			}
		}
	case "array":
		all, ok := value.([]any)
		if !ok {
			d.t.Errorf("%s: %v is no array", where, value)
		}
		for i, v := range all {
			d.check(fmt.Sprintf("%s[%d]", where, i), schema["items"].(map[string]any), v)
		}
	case "string":
		text, ok := value.(string)
		if !ok {
			d.t.Errorf("%s: %v is no string", where, value)
		}
		if schema["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339, text); err != nil {
				d.t.Errorf("%s: %v", where, err)
			}
		}
		if some, ok := schema["enum"].([]any); ok && !slices.Contains(some, any(text)) {
			d.t.Errorf("%s: %s is not one of %v", where, text, some)
		}
	case "integer":
		if n, ok := value.(float64); !ok || n != float64(int64(n)) {
			d.t.Errorf("%s: %v is no integer", where, value)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			d.t.Errorf("%s: %v is no boolean", where, value)
		}
	default:
		d.t.Errorf("%s: a schema of the type %v", where, schema["type"])
	}
}

// Each route of the API is in the document, and the other way round.
func TestAPIIsDescribed(t *testing.T) {
	o := newOfficeTest(t, nil)
	d := readDescription(t)
	if d.doc["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", d.doc["openapi"])
	}
	known := map[string]bool{}
	mux := o.s.routes()
	for _, e := range o.s.endpoints() {
		known[e.pattern] = true
		method, path, _ := strings.Cut(e.pattern, " ")
		op := d.at("paths", path, strings.ToLower(method))
		if op == nil {
			t.Errorf("%s is not described", e.pattern)
			continue
		}
		if want := cmp.Or(e.scope, "none"); op["x-scope"] != want {
			t.Errorf("%s: scope %v, want %s", e.pattern, op["x-scope"], want)
		}
		if r, err := http.NewRequest(method, "http://localhost"+strings.NewReplacer("{", "", "}", "").Replace(path), nil); err != nil {
			t.Error(err)
		} else if _, pattern := mux.Handler(r); pattern != e.pattern {
			t.Errorf("%s is answered by %q", e.pattern, pattern)
		}
	}
	ids := map[any]bool{}
	for path, item := range d.at("paths") {
		for method := range item.(map[string]any) {
			where := strings.ToUpper(method) + " " + path
			if !known[where] {
				t.Errorf("%s is described and does not exist", where)
			}
			op := d.at("paths", path, method)
			if ids[op["operationId"]] || op["operationId"] == nil || op["summary"] == nil {
				t.Errorf("%s: operation %v", where, op["operationId"])
			}
			ids[op["operationId"]] = true
			named := ""
			params, _ := op["parameters"].([]any)
			for _, p := range params {
				if p := p.(map[string]any); p["in"] == "path" {
					named += "{" + p["name"].(string) + "}"
				}
			}
			for piece := range strings.SplitSeq(path, "/") {
				if strings.HasPrefix(piece, "{") && !strings.Contains(named, piece) {
					t.Errorf("%s: parameter %s is not described", where, piece)
				}
			}
			d.checkExamples(where, op)
		}
	}
}

// checkExamples checks the examples of an operation against its schemas.
func (d described) checkExamples(where string, op map[string]any) {
	d.t.Helper()
	bodies := map[string]any{}
	if body, ok := op["requestBody"].(map[string]any); ok {
		bodies["request"] = body
	}
	for status, r := range op["responses"].(map[string]any) {
		answer := r.(map[string]any)
		if ref, ok := answer["$ref"].(string); ok {
			answer = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
		bodies[status] = answer
	}
	for name, body := range bodies {
		content, _ := body.(map[string]any)["content"].(map[string]any)
		for kind, c := range content {
			if example, ok := c.(map[string]any)["example"]; ok {
				d.check(where+" "+name, c.(map[string]any)["schema"].(map[string]any), example)
			} else if strings.HasSuffix(kind, "json") && op["operationId"] != "describe" {
				d.t.Errorf("%s %s has no example", where, name)
			}
		}
	}
}
