package contracttest

import (
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

// unnamed finds a field that the schema does not name.
func unnamed(at string, got any, schema *openapi3.Schema) error {
	switch got := got.(type) {
	case map[string]any:
		for k, x := range got {
			p, open := property(schema, k)
			if p == nil {
				if !open {
					return fmt.Errorf("the contract has no field %s.%s", at, k)
				}
				continue
			}
			if err := unnamed(at+"."+k, x, p); err != nil {
				return err
			}
		}
	case []any:
		if schema.Items == nil {
			return nil
		}
		for i, x := range got {
			if err := unnamed(fmt.Sprintf("%s[%d]", at, i), x, schema.Items.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// property finds a field in a schema or those that it is made of. open says that
// the schema has a word about fields that it does not name.
func property(schema *openapi3.Schema, name string) (found *openapi3.Schema, open bool) {
	if p := schema.Properties[name]; p != nil {
		return p.Value, false
	}
	if a := schema.AdditionalProperties; a.Schema != nil || a.Has != nil {
		open = true
	}
	for _, parts := range []openapi3.SchemaRefs{schema.OneOf, schema.AnyOf, schema.AllOf} {
		for _, part := range parts {
			p, o := property(part.Value, name)
			if p != nil {
				return p, false
			}
			open = open || o
		}
	}
	return nil, open
}
