//go:build race

package e2e_test

// raceFlags make the program under test watch for data races as the tests do.
const raceFlags = "-race"
