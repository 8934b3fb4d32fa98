package logrocket

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"sightline/internal/services/upstream"
)

// ExecuteGraphQL runs a query, once. A 200, 400 or 422 whose body is a GraphQL
// answer is a response, not an error. It is repeated only if it certainly never
// left this machine: it may be a mutation.
func (c *Client) ExecuteGraphQL(ctx context.Context, r GraphQLRequest) (GraphQLResponse, error) {
	const operation = "executeGraphQLQuery"
	if strings.TrimSpace(r.Query) == "" {
		return GraphQLResponse{}, c.up.Refuse(operation, "there is no query to run")
	}
	request := map[string]any{"query": r.Query}
	if text := strings.TrimSpace(string(r.Variables)); text != "" && text != "null" {
		if _, ok := upstream.ParseObject(r.Variables); !ok {
			return GraphQLResponse{}, c.up.Refuse(operation, "the variables are not a JSON object")
		}
		request["variables"] = r.Variables
	}
	if r.OperationName != "" {
		request["operationName"] = r.OperationName
	}
	body, err := encode(request)
	if err != nil {
		return GraphQLResponse{}, c.up.Refuse(operation, "the query cannot be written as JSON")
	}
	var response GraphQLResponse
	answer, err := c.up.Do(ctx, upstream.Request{
		Operation: operation, Method: http.MethodPost, Path: "/graphql", Header: c.auth(), Body: body,
		Retry:  upstream.IfUnsent,
		Answer: explained,
		Read: func(body []byte) (err error) {
			response, err = readGraphQL(body)
			return err
		},
	})
	if err != nil {
		return GraphQLResponse{}, err
	}
	response.Status = answer.Status
	return response, nil
}

// explained says whether a refusal is GraphQL's own, about the query.
func explained(status int, body []byte) bool {
	if status != http.StatusBadRequest && status != http.StatusUnprocessableEntity {
		return false
	}
	answer, _ := upstream.ParseObject(body)
	return len(errorsOf(answer)) > 0
}

// errorsOf are the errors of an answer. Some servers send one alone, or a text,
// where the specification has a list.
func errorsOf(answer upstream.Object) []json.RawMessage {
	switch raw := answer["errors"]; strings.TrimSpace(string(raw)) {
	case "", "null", "false", `""`, "{}":
		return nil
	default:
		if list := upstream.List(raw); list != nil {
			return list
		}
		return []json.RawMessage{raw}
	}
}

func readGraphQL(body []byte) (GraphQLResponse, error) {
	answer, ok := upstream.ParseObject(body)
	if !ok || !answer.Has("data") && len(errorsOf(answer)) == 0 {
		return GraphQLResponse{}, errors.New("the answer is not one to a GraphQL query")
	}
	response := GraphQLResponse{Data: answer["data"], Raw: json.RawMessage(body)}
	for _, raw := range errorsOf(answer) {
		response.Errors = append(response.Errors, readGraphQLError(raw))
	}
	return response, nil
}

func readGraphQLError(raw json.RawMessage) GraphQLError {
	object, ok := upstream.ParseObject(raw)
	if !ok {
		return GraphQLError{Message: upstream.Text(raw), Raw: raw}
	}
	e := GraphQLError{Message: object.Text("message"), Raw: raw}
	for _, place := range object.List("locations") {
		at, _ := upstream.ParseObject(place)
		line, _ := at.Int("line")
		column, _ := at.Int("column")
		if line > 0 && line < 1<<31 && column >= 0 && column < 1<<31 {
			e.Locations = append(e.Locations, Location{Line: int(line), Column: int(column)})
		}
	}
	for _, step := range object.List("path") {
		e.Path = append(e.Path, upstream.Text(step))
	}
	return e
}
