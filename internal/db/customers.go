package db

import (
	"context"
	"database/sql"
	"time"
)

// Customer is a person that the organization's sites saw.
type Customer struct {
	ID        CustomerID
	Name      string // as last seen, often empty
	Email     string // as last seen, often empty
	FirstSeen time.Time
	LastSeen  time.Time // zero if no vendor ever saw them
	CreatedAt time.Time
}

const customerColumns = "c.id, c.name, c.email, c.first_seen, c.last_seen, c.created_at"

func scanCustomer(s scanner) (Customer, error) {
	var c Customer
	var first, last, created sql.NullInt64
	err := s.Scan(&c.ID, &c.Name, &c.Email, &first, &last, &created)
	c.FirstSeen, c.LastSeen, c.CreatedAt = timeOf(first), timeOf(last), timeOf(created)
	return c, err
}

// Customer reads one customer.
func (o Org) Customer(ctx context.Context, id CustomerID) (Customer, error) {
	return one(ctx, o.db.r, "customer", scanCustomer, `
		SELECT `+customerColumns+` FROM customers c WHERE c.id = ? AND c.org_id = ?`, id, o.id)
}
