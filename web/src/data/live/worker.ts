/** The SharedWorker that holds the one live stream of all tabs. */
export {};
