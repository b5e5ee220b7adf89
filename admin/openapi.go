package admin

import (
	"net/http"
	"regexp"
	"strings"
)

// openapi returns the description of the API.
func (x *exchange) openapi() (any, error) { return OpenAPI(), nil }

// OpenAPI returns the description of the API as an OpenAPI 3.1 document, made from the types of
// this package. GET /v1/openapi.json answers with it.
func OpenAPI() Schema {
	s := newSchemas("#/components/schemas/")
	paths := map[string]any{}
	for _, e := range endpoints() {
		item, ok := paths[e.path].(map[string]any)
		if !ok {
			item = map[string]any{}
			paths[e.path] = item
		}
		item[strings.ToLower(e.method)] = e.operation(s)
	}
	s.of(typeOf[Problem]())
	return Schema{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "faas admin", "version": apiVersion,
			"description": "What a person does to a running host. Integers above 2^53-1 are strings. Fields that end with NS are nanoseconds.",
		},
		"paths":      paths,
		"components": map[string]any{"schemas": s.defs},
	}
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

func (e *endpoint) operation(s *schemas) map[string]any {
	about := "Needs the right " + string(e.right) + "."
	if e.write {
		about += " Changes something: the host must have enabled it."
	}
	op := map[string]any{"operationId": e.verb, "summary": e.summary, "description": about, "responses": e.responses(s)}
	if params := e.parameters(); len(params) > 0 {
		op["parameters"] = params
	}
	if e.in != nil {
		op["requestBody"] = map[string]any{"required": true, "content": content("application/json", s.of(e.in))}
	}
	return op
}

func (e *endpoint) parameters() (all []any) {
	for _, m := range pathParam.FindAllStringSubmatch(e.path, -1) {
		all = append(all, map[string]any{"name": m[1], "in": "path", "required": true, "schema": Schema{"type": "string"}})
	}
	for _, p := range e.query {
		all = append(all, map[string]any{"name": p.name, "in": "query", "description": p.about, "schema": Schema{"type": "string"}})
	}
	return all
}

func (e *endpoint) responses(s *schemas) map[string]any {
	media := "application/json"
	if e.stream {
		media = "text/event-stream"
	}
	return map[string]any{
		"200":     map[string]any{"description": http.StatusText(http.StatusOK), "content": content(media, s.of(e.out))},
		"default": map[string]any{"description": "A problem.", "content": content("application/problem+json", s.of(typeOf[Problem]()))},
	}
}

func content(media string, schema Schema) map[string]any {
	return map[string]any{media: map[string]any{"schema": schema}}
}
