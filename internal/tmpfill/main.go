package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"sightline/internal/db"
)

func pick[T any](r *rand.Rand, of ...T) T { return of[int(math.Pow(r.Float64(), 2)*float64(len(of)))] }

func main() {
	ctx := context.Background()
	d, err := db.Open(ctx, os.Args[1])
	if err != nil {
		panic(err)
	}
	defer d.Close()
	n, _ := strconv.Atoi(os.Args[2])
	days, _ := strconv.Atoi(os.Args[3])
	r := rand.New(rand.NewPCG(1, 1))
	now := time.Now()
	var batch []db.FullSession
	var began = time.Now()
	for i := range n {
		var s db.FullSession
		s.VendorID = fmt.Sprint("fill-", i)
		s.StartedAt = now.Add(-time.Duration(float64(days*24)*(1-float64(i)/float64(n))*float64(time.Hour)) - time.Duration(r.IntN(3600))*time.Second)
		s.UpdatedAt = s.StartedAt.Add(time.Minute)
		s.Status = "ended"
		s.Country, s.Browser, s.OS = pick(r, "US", "DE", "NZ", "GB", "FR", "JP", "BR", "IN", "CA", "SE", "AU", "NO", "ES", "IT", ""), pick(r, "Chrome", "Safari", "Firefox", "Edge", "Samsung Internet", "Opera"), pick(r, "Windows", "iOS", "macOS", "Android", "Linux")
		s.Rating = pick(r, "Good", "Excellent", "Average", "Poor", "")
		s.UserAnonymous = r.IntN(3) == 0
		if !s.UserAnonymous {
			s.UserIdentifier = fmt.Sprintf("user%d@example.com", r.IntN(1+n/6))
		}
		for range 1 + r.IntN(6) {
			p := int(math.Pow(r.Float64(), 2) * 200)
			ms := int64(300*math.Exp(r.NormFloat64()*0.7)) + int64(p%7)*200
			s.Views = append(s.Views, db.PageView{URL: fmt.Sprintf("https://shop.example.com/%s/section-%d?v=%d", []string{"products", "cart", "checkout", "help"}[p%4], p, i), LoadMS: &ms})
		}
		if r.IntN(6) == 0 {
			g := int(math.Pow(r.Float64(), 2) * 40)
			s.Errors = append(s.Errors, db.SessionError{GroupID: fmt.Sprint(g), Title: fmt.Sprintf("TypeError: Cannot read properties of undefined (reading 'section%d')", g)})
		}
		batch = append(batch, s)
		if len(batch) == 2000 || i == n-1 {
			if _, err := d.Org(1).PutFullSessions(ctx, 1, batch, now); err != nil {
				panic(err)
			}
			batch = batch[:0]
		}
	}
	fmt.Println(n, "sessions in", time.Since(began), float64(n)/time.Since(began).Seconds(), "a second")
}
