package main

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"sightline/internal/services/secrets"
)

// A demo that is given its master key needs no file of it.
func TestDemoTakesTheMasterKeyItIsGiven(t *testing.T) {
	c := storeConfig{dir: t.TempDir(), masterKey: secrets.NewMasterKey()}
	if err := demoKey(&c); err != nil {
		t.Errorf("with a key and an empty directory: %v", err)
	}
	if _, err := os.Stat(c.masterKeyFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was given and another one made: %v", err)
	}
}
