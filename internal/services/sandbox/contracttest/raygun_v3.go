package contracttest

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// LoadV3 reads the document of Raygun API v3, or skips or fails like SpecDir.
func LoadV3(t testing.TB) *Validator {
	t.Helper()
	return load(t, "Bearer", "raygun-v3-openapi.yml")
}

// OptionalV3 is to LoadV3 what Optional is to Load.
func OptionalV3(t testing.TB) *Validator {
	t.Helper()
	return optional(t, LoadV3)
}

// mend makes what nothing can satisfy satisfiable. The published document wants
// exactly one of two page schemas that both fit every page, because neither
// requires a field, and exactly one of two formats that a validator need not
// tell apart: "one of" becomes "any of".
func mend(doc *openapi3.T) {
	loosen := func(s *openapi3.SchemaRef) {
		if s != nil && s.Value != nil && len(s.Value.OneOf) > 0 {
			s.Value.AnyOf, s.Value.OneOf = append(s.Value.AnyOf, s.Value.OneOf...), nil
		}
	}
	for _, s := range doc.Components.Schemas {
		for _, p := range s.Value.Properties {
			loosen(p)
		}
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			for _, resp := range op.Responses.Map() {
				for _, media := range resp.Value.Content {
					loosen(media.Schema)
					if media.Schema != nil {
						loosen(media.Schema.Value.Items)
					}
				}
			}
		}
	}
}
