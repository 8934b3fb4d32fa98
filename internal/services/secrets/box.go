package secrets

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	aeadsubtle "github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// masterKeySize is the length of a master key in bytes.
const masterKeySize = 32

// keysetPlace is the associated data of the sealed keyset, so that a sealed
// credential can never be passed off as a keyset.
var keysetPlace = []byte("sightline/keyset/v1")

// ErrWrongMasterKey says that the master key given is not the one that sealed
// the keyset. A damaged keyset looks the same: sealing cannot tell them apart.
var ErrWrongMasterKey = errors.New("the master key does not open the stored keys: it is not the key they were sealed with, or they are damaged")

// ErrWrongPlace says that a sealed text does not open at the place named: it was
// sealed for another, with other keys, or it is damaged.
var ErrWrongPlace = errors.New("the sealed secret does not open here: it was sealed for another place or with other keys, or it is damaged")

// Box seals and opens secrets with a Tink keyset. It is safe for concurrent use.
type Box struct {
	keys *keyset.Handle
	aead tink.AEAD
}

// NewMasterKey makes a random master key as base64 text.
func NewMasterKey() Secret {
	key := make([]byte, masterKeySize)
	_, _ = rand.Read(key) // never fails: the runtime ends the program instead
	return New(base64.StdEncoding.EncodeToString(key))
}

// NewBox makes a new keyset and returns it in a box, and sealed by the master
// key for storing. The master key is 32 bytes as base64 or hex text.
func NewBox(master Secret) (box *Box, sealedKeyset []byte, err error) {
	keys, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, nil, fmt.Errorf("make keyset: %w", err)
	}
	box, err = newBox(keys)
	if err != nil {
		return nil, nil, err
	}
	sealedKeyset, err = box.SealKeyset(master)
	if err != nil {
		return nil, nil, err
	}
	return box, sealedKeyset, nil
}

// OpenBox opens a keyset that NewBox or SealKeyset sealed. With another master
// key the error is ErrWrongMasterKey.
func OpenBox(master Secret, sealedKeyset []byte) (*Box, error) {
	lock, err := masterAEAD(master)
	if err != nil {
		return nil, err
	}
	// Read once without opening, so that only a failure to decrypt counts as a wrong key.
	if _, err := keyset.NewBinaryReader(bytes.NewReader(sealedKeyset)).ReadEncrypted(); err != nil || len(sealedKeyset) == 0 {
		return nil, fmt.Errorf("the stored keys are not a keyset (%d bytes)", len(sealedKeyset))
	}
	keys, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(sealedKeyset)), lock, keysetPlace)
	if err != nil {
		return nil, ErrWrongMasterKey
	}
	return newBox(keys)
}

func newBox(keys *keyset.Handle) (*Box, error) {
	primitive, err := aead.New(keys)
	if err != nil {
		return nil, fmt.Errorf("use keyset: %w", err)
	}
	return &Box{keys: keys, aead: primitive}, nil
}

// SealKeyset returns the box's keys sealed by a master key, for storing. With
// another key than before, the old one no longer opens what this returns.
func (b *Box) SealKeyset(master Secret) ([]byte, error) {
	lock, err := masterAEAD(master)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := b.keys.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), lock, keysetPlace); err != nil {
		return nil, fmt.Errorf("seal keyset: %w", err)
	}
	return out.Bytes(), nil
}

// WithNewKey returns a box that seals with a fresh key and still opens what b
// sealed. Store its keyset (SealKeyset) before sealing anything with it.
func (b *Box) WithNewKey() (*Box, error) {
	manager := keyset.NewManagerFromHandle(b.keys)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("add key: %w", err)
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("make key %d primary: %w", id, err)
	}
	keys, err := manager.Handle()
	if err != nil {
		return nil, fmt.Errorf("read keyset: %w", err)
	}
	return newBox(keys)
}

// Seal encrypts s for one place, "organization/connection/field". The result
// opens at that place only.
func (b *Box) Seal(place string, s Secret) ([]byte, error) {
	if place == "" {
		return nil, errors.New("seal: no place given")
	}
	sealed, err := b.aead.Encrypt([]byte(s.Reveal()), []byte(place))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", place, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same place. Anything else is ErrWrongPlace.
func (b *Box) Open(place string, sealed []byte) (Secret, error) {
	text, err := b.aead.Decrypt(sealed, []byte(place))
	if err != nil {
		return Secret{}, fmt.Errorf("open %s: %w", place, ErrWrongPlace)
	}
	return New(string(text)), nil
}

// masterAEAD reads the master key and returns what seals with it.
func masterAEAD(master Secret) (tink.AEAD, error) {
	key, err := parseMasterKey(master)
	if err != nil {
		return nil, err
	}
	lock, err := aeadsubtle.NewAESGCM(key)
	if err != nil {
		return nil, fmt.Errorf("use master key: %w", err)
	}
	return lock, nil
}

// parseMasterKey reads 32 bytes from hex or from any of the base64 spellings,
// with white space around it as a file or a shell leaves it.
func parseMasterKey(master Secret) ([]byte, error) {
	text := strings.TrimSpace(master.Reveal())
	if text == "" {
		return nil, errors.New("no master key given: it must be 32 random bytes, written as base64 (44 characters) or hex (64 characters)")
	}
	// Hex first: 64 hex digits are base64 too, but of 48 bytes.
	if key, err := hex.DecodeString(text); err == nil && len(key) == masterKeySize {
		return key, nil
	}
	bare := strings.TrimRight(text, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(bare); err == nil && len(key) == masterKeySize {
			return key, nil
		}
	}
	return nil, fmt.Errorf("the master key must be 32 random bytes, written as base64 (44 characters) or hex (64 characters); the %d characters given are neither", len(text))
}
