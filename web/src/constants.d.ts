/** The address of the Worker that paints curves (`build.mjs`). */
declare const CURVES_WORKER: string;
/** The address of the SharedWorker that holds the live stream (`build.mjs`). */
declare const LIVE_WORKER: string;
declare module "*.css";
