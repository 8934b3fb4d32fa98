//go:build race

package services

// raceShrink makes the largest texts of tests smaller under the race detector,
// which takes ten times as long and looks for something else.
const raceShrink = 16
