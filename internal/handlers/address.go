package handlers

import "net/url"

// valuesOf are the parameters of an address from pairs of a name and a value;
// those without a value are left out.
func valuesOf(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// query is an address's part behind the path, empty without values.
func query(v url.Values) string {
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}
