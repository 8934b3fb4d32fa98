package main

import "github.com/urfave/cli/v3"

func demoCommand(s stdio) *cli.Command { return &cli.Command{Name: "demo"} }
