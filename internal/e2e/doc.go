// Package e2e holds tests of Sightline as a whole, from outside: they build the
// program, start it over the stand-ins for the vendors, and use it as people
// do, through its command line, its forms and a real browser. It has no code
// but its tests.
package e2e
