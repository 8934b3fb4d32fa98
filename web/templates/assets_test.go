package templates

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The addresses in the layout are those under which web/static serves the files
// that are built in now.
func TestAddressesNameTheBuiltFiles(t *testing.T) {
	for file, url := range map[string]string{"app.css": urlCSS, "app.js": urlAppJS, "theme.js": urlThemeJS, "graphql.js": urlGraphQL, "favicon.svg": urlFavicon} {
		b, err := os.ReadFile(filepath.Join("..", "static", file))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		ext := filepath.Ext(file)
		if want := "/static/" + strings.TrimSuffix(file, ext) + "." + hex.EncodeToString(sum[:6]) + ext; url != want {
			t.Errorf("the layout asks for %s, the file is at %s (make generate)", url, want)
		}
	}
}
