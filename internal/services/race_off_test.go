//go:build !race

package services

// raceShrink leaves the largest texts of tests as they are.
const raceShrink = 1
