package main

import "github.com/urfave/cli/v3"

func connectionCommand(s stdio) *cli.Command { return &cli.Command{Name: "connection"} }
