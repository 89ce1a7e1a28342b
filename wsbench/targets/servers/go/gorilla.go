// gorilla/websocket on net/http: text as text, binary as binary.
//
//	gorilla [-port 0] [-workers N] [-cert FILE -key FILE] [-compression]
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime"

	"github.com/gorilla/websocket"
)

const maxMessageBytes = 64 * 1024 * 1024

func main() {
	port := flag.Int("port", 0, "")
	workers := flag.Int("workers", 1, "threads that run Go code at the same time")
	cert := flag.String("cert", "", "")
	key := flag.String("key", "", "")
	compression := flag.Bool("compression", false, "")
	flag.Parse()

	runtime.GOMAXPROCS(*workers)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: echo(*compression)}
	bound := listener.Addr().(*net.TCPAddr).Port
	if *cert == "" {
		fmt.Printf("listening on ws://127.0.0.1:%d/echo\n", bound)
		log.Fatal(server.Serve(listener))
	}
	fmt.Printf("listening on wss://127.0.0.1:%d/echo\n", bound)
	log.Fatal(server.ServeTLS(listener, *cert, *key))
}

func echo(compression bool) http.Handler {
	upgrader := websocket.Upgrader{
		EnableCompression: compression,
		CheckOrigin:       func(*http.Request) bool { return true },
	}
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		connection, err := upgrader.Upgrade(response, request, nil)
		if err != nil {
			return // Upgrade has answered the request
		}
		defer connection.Close()
		connection.SetReadLimit(maxMessageBytes)
		for {
			kind, message, err := connection.ReadMessage()
			if err != nil {
				return
			}
			if err := connection.WriteMessage(kind, message); err != nil {
				return
			}
		}
	})
}
