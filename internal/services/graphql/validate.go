package graphql

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Validate returns what a server with the schema would not accept of an
// operation, none if it would. A nil schema accepts all. The other operations of
// the document do not matter: they are not sent.
func (d *Document) Validate(s *Schema, o Operation) (problems []Problem) {
	if s == nil {
		return nil
	}
	// The schema is a stranger's. Where the validator cannot cope with it, the
	// server itself has the word.
	defer func() {
		if recover() != nil {
			problems = nil
		}
	}()
	// Read again, because validating writes into what was read.
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: d.Wire(o)}, MaxTokens)
	if err != nil {
		return problemsOf(err)
	}
	r := rules.NewDefaultRules()
	r.RemoveRule(rules.MaxIntrospectionDepth.Name) // for servers, against strangers
	if list := validator.ValidateWithRules(s.ast, doc, r); len(list) > 0 {
		return problemsOf(list)
	}
	return nil
}
