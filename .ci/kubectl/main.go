// kubectl with the one command that tests need, kustomize, out of its published library: for machines without kubectl.
// The whole of it takes more than twice as long to build.
package main

import (
	"os"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/kubectl/pkg/cmd/kustomize"
)

func main() {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	kubectl := &cobra.Command{Use: "kubectl"}
	kubectl.AddCommand(kustomize.NewCmdKustomize(streams))
	if kubectl.Execute() != nil {
		os.Exit(1)
	}
}
