package secrets_test

import (
	"bytes"
	"database/sql/driver"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sightline/internal/services/secrets"
)

const planted = "planted-secret"

func TestASecretShowsNowhere(t *testing.T) {
	s := secrets.New(planted)
	type hidden struct{ inner secrets.Secret }
	type open struct{ Inner secrets.Secret }
	var out bytes.Buffer
	for _, value := range []any{s, &s, hidden{s}, &hidden{s}, open{s}, []secrets.Secret{s}, map[string]secrets.Secret{"a": s}, map[secrets.Secret]int{s: 1}, errors.Join(fmt.Errorf("x %v", s))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T", "%10.3s"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, value)
		if text, err := json.Marshal(value); err == nil {
			out.Write(text)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", value)
	}
	shown := out.String()
	for _, form := range []string{planted, hex.EncodeToString([]byte(planted)), strings.ToUpper(hex.EncodeToString([]byte(planted))), base64.StdEncoding.EncodeToString([]byte(planted)), "plan"} {
		if strings.Contains(shown, form) {
			t.Errorf("shows %q", form)
		}
	}
	if !strings.Contains(shown, "[redacted]") {
		t.Error("says nothing in its place")
	}
	if _, err := driver.Valuer(s).Value(); err == nil {
		t.Error("goes into a database in the clear")
	}
	if s.Reveal() != planted || s.IsZero() || !secrets.New("").IsZero() || (secrets.Secret{}).Reveal() != "" || !s.Equal(secrets.New(planted)) || s.Equal(secrets.Secret{}) {
		t.Error("does not hold its text")
	}
}

func TestASealedSecretOpensAtItsPlaceOnly(t *testing.T) {
	master := secrets.NewMasterKey()
	box, keyset, err := secrets.NewBox(master)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.Seal("1/2/key", secrets.New(planted))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte(planted)) || bytes.Contains(keyset, []byte(master.Reveal())) {
		t.Error("not sealed")
	}
	again, err := secrets.OpenBox(master, keyset)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []*secrets.Box{box, again} {
		if got, err := b.Open("1/2/key", sealed); err != nil || got.Reveal() != planted {
			t.Errorf("got %q, %v", got.Reveal(), err)
		}
	}
	other, _, _ := secrets.NewBox(master)
	for name, open := range map[string]func() (secrets.Secret, error){
		"other place": func() (secrets.Secret, error) { return box.Open("2/2/key", sealed) },
		"no place":    func() (secrets.Secret, error) { return box.Open("", sealed) },
		"other keys":  func() (secrets.Secret, error) { return other.Open("1/2/key", sealed) },
		"damaged":     func() (secrets.Secret, error) { return box.Open("1/2/key", sealed[1:]) },
		"empty":       func() (secrets.Secret, error) { return box.Open("1/2/key", nil) },
	} {
		if _, err := open(); !errors.Is(err, secrets.ErrWrongPlace) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := box.Seal("", secrets.New("x")); err == nil {
		t.Error("sealed for nowhere")
	}
	if empty, err := box.Seal("p", secrets.Secret{}); err != nil {
		t.Error(err)
	} else if got, err := box.Open("p", empty); err != nil || !got.IsZero() {
		t.Errorf("the absent secret came back as %q, %v", got.Reveal(), err)
	}
}

func TestTheMasterKeyIsReadInEachSpellingAndCheckedByName(t *testing.T) {
	raw := bytes.Repeat([]byte{0xfb, 0xff, 0x01, 0x7e}, 8)
	box, keyset, err := secrets.NewBox(secrets.New(hex.EncodeToString(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw),
		base64.RawURLEncoding.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), " " + hex.EncodeToString(raw) + "\n",
	} {
		if _, err := secrets.OpenBox(secrets.New(text), keyset); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := secrets.OpenBox(secrets.NewMasterKey(), keyset); !errors.Is(err, secrets.ErrWrongMasterKey) {
		t.Errorf("another key: %v", err)
	}
	for _, damaged := range [][]byte{nil, {}, []byte("x"), keyset[:len(keyset)/2], append([]byte{0xff}, keyset...)} {
		if _, err := secrets.OpenBox(secrets.New(hex.EncodeToString(raw)), damaged); err == nil {
			t.Errorf("opened %d damaged bytes", len(damaged))
		}
	}
	for _, text := range []string{"", "short", planted + strings.Repeat("x", 30), hex.EncodeToString(raw[1:]), base64.StdEncoding.EncodeToString(raw) + "AAAA"} {
		_, _, err := secrets.NewBox(secrets.New(text))
		if err == nil || !strings.Contains(err.Error(), "32 random bytes") || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
	_ = box
}

func TestKeysCanBeRotatedWithoutLosingWhatIsSealed(t *testing.T) {
	oldMaster, newMaster := secrets.NewMasterKey(), secrets.NewMasterKey()
	box, keyset, err := secrets.NewBox(oldMaster)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := box.Seal("p", secrets.New(planted))
	rotated, err := box.WithNewKey()
	if err != nil {
		t.Fatal(err)
	}
	after, _ := rotated.Seal("p", secrets.New(planted))
	resealed, err := rotated.SealKeyset(newMaster)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := secrets.OpenBox(newMaster, resealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, sealed := range [][]byte{before, after} {
		if got, err := opened.Open("p", sealed); err != nil || got.Reveal() != planted {
			t.Errorf("%q, %v", got.Reveal(), err)
		}
	}
	if _, err := box.Open("p", after); err == nil {
		t.Error("the old keys open what the new key sealed")
	}
	if _, err := secrets.OpenBox(oldMaster, resealed); !errors.Is(err, secrets.ErrWrongMasterKey) {
		t.Errorf("the old master key: %v", err)
	}
	if bytes.Equal(keyset, resealed) {
		t.Error("nothing changed")
	}
}
