"""Steps of experiments and trials, beside those of components."""

import threading
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError
from smexperiments.experiment import Experiment
from smexperiments.tracker import Tracker
from smexperiments.trial import Trial
from smexperiments.trial_component import TrialComponent

from kit.sagemaker.steps import Steps, plain

THREADS = 8
EXPERIMENT = ("experiment_name", "experiment_arn", "display_name", "description", "creation_time", "last_modified_time")
TRIAL = ("trial_name", "trial_arn", "display_name", "experiment_name", "creation_time", "last_modified_time")


def shown(thing: Any, names: tuple[str, ...]) -> Any:
    """Return what an experiment or a trial has."""
    return {name: plain(getattr(thing, name, None)) for name in names}


class ExperimentSteps(Steps):
    """The steps; each is a method without arguments."""

    def experiment(self, name: str, **more: Any) -> Experiment:
        return Experiment.create(name, sagemaker_boto_client=self.client, **more)

    def loaded_experiment(self, name: str) -> Experiment:
        return Experiment.load(name, sagemaker_boto_client=self.client)

    def trial(self, name: str) -> Trial:
        return Trial.load(name, sagemaker_boto_client=self.client)

    def experiments(self) -> Any:
        """Create, load, change and load again."""
        made = self.experiment("AutoML", description="the first", tags=[{"Key": "team", "Value": "vision"}])
        begun = shown(self.loaded_experiment("AutoML"), EXPERIMENT)
        made.description = "changed"
        made.display_name = "shown so"
        made.save()
        saved = shown(self.loaded_experiment("automl"), EXPERIMENT)
        cleared = self.loaded_experiment("AUTOML")
        cleared.description = ""
        cleared.save()
        return {"begun": begun, "saved": saved, "cleared": shown(self.loaded_experiment("AutoML"), EXPERIMENT)}

    def lists_of_experiments(self) -> Any:
        """Every order, filter and page."""
        names = [f"Listed-{number:02}" for number in range(12)]
        for name in names:
            self.experiment(name)
        first, middle = (self.loaded_experiment(names[number]).creation_time for number in (0, 6))

        def listed(**wanted: Any) -> list[str]:
            found = Experiment.list(sagemaker_boto_client=self.client, **wanted)
            return [one.experiment_name for one in found if one.experiment_name in names]

        later = {"created_after": first - timedelta(microseconds=1)}
        return {
            "names": names,
            "default": listed(),
            "by_name": listed(sort_by="Name", sort_order="Ascending"),
            "ascending": listed(sort_order="Ascending", **later),
            "after": listed(created_after=middle, sort_order="Ascending"),
            "before": listed(created_before=middle, sort_order="Ascending"),
        }

    def trials(self) -> Any:
        """Trials of an experiment, and components in them."""
        made = self.experiment("Forests")
        first, second = made.create_trial("Random-Forest"), made.create_trial(trial_name_prefix="generated")
        component = self.create("in-two-trials")
        tracker = Tracker.create("tracked-in-a-trial", boto3_session=self.session, sagemaker_boto_client=self.client)
        first.add_trial_component(component)
        first.add_trial_component("in-two-trials")
        first.add_trial_component(tracker)
        second.add_trial_component("IN-TWO-TRIALS")
        first.display_name = "renamed"
        first.save()
        found = {
            "generated": second.trial_name,
            "tracked": tracker.trial_component.trial_component_name,
            "described": shown(self.trial("random-forest"), TRIAL),
            "of_experiment": [one.trial_name for one in made.list_trials(sort_order="Ascending")],
            "of_component": sorted(one.trial_name for one in component.list_trials()),
            "in_first": sorted(one.trial_component_name for one in first.list_trial_components()),
            "in_second": [one.trial_component_name for one in second.list_trial_components()],
            "in_experiment": sorted(self.listed(experiment_name="forests", max_results=1)),
        }
        second.remove_trial_component(component)
        found["removed"] = [one.trial_component_name for one in second.list_trial_components()]
        found["left"] = [one.trial_name for one in component.list_trials()]
        return found

    def all_deleted(self) -> Any:
        """Everything of an experiment is deleted, what is in two trials too."""
        made = self.experiment("Doomed")
        first, second = made.create_trial("doomed-1"), made.create_trial("doomed-2")
        for name in ("doomed-a", "doomed-b"):
            first.add_trial_component(self.create(name))
        second.add_trial_component("doomed-b")
        made.delete_all(action="--force")
        trials = [one.trial_name for one in Trial.list(sagemaker_boto_client=self.client)]
        experiments = [one.experiment_name for one in Experiment.list(sagemaker_boto_client=self.client)]
        return [name for name in (*experiments, *trials, *self.listed()) if name.lower().startswith("doomed")]

    def disassociated(self) -> Any:
        """A component that is deleted out of its trials."""
        made = self.experiment("Loose")
        for number in range(2):
            made.create_trial(f"loose-{number}").add_trial_component(
                self.create("loosened") if not number else "loosened"
            )
        TrialComponent(self.client, trial_component_name="loosened").delete(force_disassociate=True)
        for one in made.list_trials():
            self.trial(one.trial_name).delete()
        made.delete()
        return self.listed().count("loosened")

    def at_once(self) -> Any:
        """Threads that create the same experiment, trial and component: of each there is one."""
        codes: list[str] = []
        barrier = threading.Barrier(THREADS)

        def create(number: int) -> None:
            client = self.client_of(self.key, self.key)
            name = "Crowded" if number % 2 else "crowded"
            barrier.wait()
            for made, fields in (
                (client.create_experiment, {"ExperimentName": name}),
                (client.create_trial, {"TrialName": name, "ExperimentName": name}),
                (client.create_trial_component, {"TrialComponentName": "crowded"}),
            ):
                try:
                    made(**fields)
                    codes.append(f"{made.__name__}: made")
                except ClientError as error:
                    codes.append(f"{made.__name__}: {error.response['Error']['Code']}")

        threads = [threading.Thread(target=create, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(codes)

    def taken_experiment(self) -> Any:
        self.experiment("Occupied").create_trial("Occupied-Trial").add_trial_component(self.create("occupying"))
        return self.experiment("OCCUPIED")

    def taken_trial(self) -> Any:
        return self.loaded_experiment("Occupied").create_trial("OCCUPIED-TRIAL")

    def trial_of_nothing(self) -> Any:
        return Trial.create("no-experiment", "a-trial", sagemaker_boto_client=self.client)

    def unknown_experiment(self) -> Any:
        return self.loaded_experiment("no-experiment")

    def unknown_trial(self) -> Any:
        return self.trial("no-trial")

    def trials_of_nothing(self) -> Any:
        return list(Trial.list(experiment_name="no-experiment", sagemaker_boto_client=self.client))

    def unknown_component_added(self) -> Any:
        return self.trial("Occupied-Trial").add_trial_component("no-component")

    def component_removed_twice(self) -> Any:
        self.create("not-in-it")
        return self.trial("Occupied-Trial").remove_trial_component("not-in-it")

    def experiment_with_trials_deleted(self) -> Any:
        return self.loaded_experiment("Occupied").delete()

    def trial_with_components_deleted(self) -> Any:
        return self.trial("Occupied-Trial").delete()

    def component_in_a_trial_deleted(self) -> Any:
        return self.load("occupying").delete()

    def bad_experiment_token(self) -> Any:
        return self.client.list_experiments(NextToken="AAAA")
