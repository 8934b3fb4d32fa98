package handlers

import (
	"net/http"

	"sightline/web/templates"
)

// budgetViews are the call budgets that stand on every page: those of
// connections whose calls are counted.
func (a *app) budgetViews(r *http.Request) ([]templates.BudgetView, error) {
	budgets, err := a.Connections.Budgets(r.Context(), orgOf(r))
	if err != nil {
		return nil, err
	}
	var out []templates.BudgetView
	for _, b := range budgets {
		if b.Allowance > 0 {
			out = append(out, templates.BudgetView{
				Connection: b.Name, Left: b.Left, Allowance: b.Allowance, ResetsAt: b.ResetsAt, BlockedUntil: b.BlockedUntil,
			})
		}
	}
	return out, nil
}
