package logrocket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"unicode/utf8"

	"sightline/internal/services/upstream"
)

// UpdateUser creates or changes a user, with one PUT. It is repeated only if it
// certainly never left this machine. An answer that cannot be read is an error
// of kind Unexpected although LogRocket accepted the change.
func (c *Client) UpdateUser(ctx context.Context, userID string, u UserUpdate) (User, error) {
	const operation = "updateUser"
	if !addressable(userID) {
		return User{}, c.up.Refuse(operation, "LogRocket cannot be asked for an empty user id, or one of dots only")
	}
	body, err := u.body(userID)
	if err != nil {
		return User{}, c.up.Refuse(operation, err.Error())
	}
	var user User
	_, err = c.up.Do(ctx, upstream.Request{
		Operation: operation, Method: http.MethodPut, Path: c.path("users", userID), Header: c.auth(), Body: body,
		Retry: upstream.IfUnsent,
		Read: func(body []byte) (err error) {
			user, err = readUser(body, userID)
			return err
		},
	})
	if err != nil {
		return User{}, err
	}
	return user, nil
}

// body checks the vendor's limits and writes the request.
func (u UserUpdate) body(userID string) ([]byte, error) {
	limited := map[string]string{"user id": userID}
	request := map[string]any{}
	if u.Name != nil {
		request["name"], limited["name"] = *u.Name, *u.Name
	}
	if u.Email != nil {
		request["email"], limited["email"] = *u.Email, *u.Email
	}
	for what, text := range limited {
		if utf8.RuneCountInString(text) > MaxText {
			return nil, fmt.Errorf("the %s is longer than %d characters", what, MaxText)
		}
	}
	if len(u.Traits) > 0 {
		traits := make(map[string]any, len(u.Traits))
		for name, value := range u.Traits {
			value, err := traitValue(value)
			if err != nil {
				return nil, err
			}
			if text, ok := value.(string); utf8.RuneCountInString(name) > MaxText || ok && utf8.RuneCountInString(text) > MaxText {
				return nil, fmt.Errorf("a trait's name or value is longer than %d characters", MaxText)
			}
			traits[name] = value
		}
		request["traits"] = traits
	}
	if !u.Timestamp.IsZero() {
		request["timestamp"] = u.Timestamp.UnixMilli()
	}
	return encode(request)
}

// traitValue returns value as the contract takes it: a string, an integer or a
// boolean.
func traitValue(value any) (any, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return v, nil
	case float32:
		return traitValue(float64(v))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case json.Number:
		return v.String(), nil
	}
	return nil, fmt.Errorf("a trait is a text, a number or true or false, not a %T", value)
}

// encode writes JSON without escaping <, > and &: a few bytes less, and what is
// read in a trace is what was typed.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// readUser reads the answer of updateUser: "userID" live, "userId" in the
// contract. An empty body is an answer that mentions nothing.
func readUser(body []byte, userID string) (User, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return User{UserID: userID}, nil
	}
	answer, ok := upstream.ParseObject(body)
	if !ok {
		return User{}, errors.New("the answer is not a user")
	}
	user := User{UserID: answer.Text("userid"), Raw: json.RawMessage(body)}
	if user.UserID == "" {
		user.UserID = userID
	}
	user.Name, user.Email = optional(answer, "name"), optional(answer, "email")
	if traits := answer["traits"]; answer.Has("traits") {
		user.Traits = readTraits(traits)
	}
	return user, nil
}

func optional(o upstream.Object, key string) *string {
	if !o.Has(key) {
		return nil
	}
	text := o.Text(key)
	return &text
}

// readTraits reads traits as text, with the names to the letter. A null is a
// trait that is not there; an object or list is kept as its JSON.
func readTraits(raw json.RawMessage) map[string]string {
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return nil
	}
	traits := make(map[string]string, len(values))
	for name, value := range values {
		switch value = bytes.TrimSpace(value); {
		case string(value) == "null":
		case value[0] == '{' || value[0] == '[':
			traits[name] = string(value)
		default:
			traits[name] = upstream.Text(value)
		}
	}
	return traits
}
