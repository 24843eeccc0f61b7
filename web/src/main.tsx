import { render } from "preact";

import { App } from "./app/App.tsx";
import { makeServices } from "./state/services.ts";
import "./styles/index.css";

const page = document.getElementById("page");
if (page) render(<App services={makeServices(window)} />, page);
