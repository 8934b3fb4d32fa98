package services

import (
	"strings"

	"sightline/internal/services/graphql"
)

// FormatGraphQL lays out a query and its variables. What cannot be read stays
// as it is, and for a query it is said what is wrong.
func FormatGraphQL(query, variables string) (q, v string, problems []GraphQLProblem) {
	q, problems = graphql.Format(query)
	v = variables
	if n, err := graphql.ReadNode([]byte(variables)); err == nil && strings.TrimSpace(variables) != "" && !n.Cut {
		v = n.Indented()
	}
	return q, v, problems
}
