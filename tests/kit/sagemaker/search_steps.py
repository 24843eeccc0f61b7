"""Steps of searches and tags, beside those of experiments."""

from typing import Any

from smexperiments.api_types import TrialComponentStatus
from smexperiments.experiment import Experiment
from smexperiments.search_expression import BooleanOperator, Filter, NestedFilter, Operator, SearchExpression
from smexperiments.trial import Trial
from smexperiments.trial_component import TrialComponent

from kit.sagemaker.experiment_steps import ExperimentSteps

RATES = (0.1, 0.2, 0.3, 0.4)
#: What a rate is compared with, by what comes of it.
COMPARED = {
    "less": (Operator.LESS_THAN, "0.2"),
    "at_most": (Operator.LESS_THAN_OR_EQUAL, "0.2"),
    "greater": (Operator.GREATER_THAN, "0.2"),
    "at_least": (Operator.GREATER_THAN_OR_EQUAL, "0.2"),
    "there": (Operator.EXISTS, None),
    "not_there": (Operator.NOT_EXISTS, None),
}


class SearchSteps(ExperimentSteps):
    """The steps; each is a method without arguments."""

    def searched(self, kind: Any, expression: SearchExpression | None = None, **more: Any) -> list[Any]:
        """Return what a search of the client yields."""
        return list(kind.search(search_expression=expression, sagemaker_boto_client=self.client, **more))

    def found(self) -> Any:
        """Every operator, nested filters and subexpressions, of each kind."""
        made = self.experiment("Searched", description="one", tags=[{"Key": "team", "Value": "vision"}])
        other = self.experiment("Searched-Other", tags=[{"Key": "team", "Value": "speech"}])
        first, second = made.create_trial("searched-first"), other.create_trial("searched-second")
        for number, rate in enumerate(RATES):
            tags = [{"Key": "sweep", "Value": f"number {number}"}]
            component = self.create(f"searched-{number}", tags=tags)
            component.parameters = {"rate": rate, "name": f"n{number}"}
            component.status = TrialComponentStatus("Completed" if number else "Failed")
            component.save()
            (first if number < 2 else second).add_trial_component(component)
        trials = SearchExpression(filters=[Filter("ExperimentName", Operator.EQUALS, "Searched")])
        return {
            "components": self._of_components(),
            "experiments": self._of_experiments(),
            "trials": [one.trial_name for one in self.searched(Trial, trials)],
            "details": self._details(),
        }

    def _of_components(self) -> dict[str, list[str]]:
        of_these = Filter("TrialComponentName", Operator.CONTAINS, "searched-")

        def names(*filters: Filter, **more: Any) -> list[str]:
            expression = SearchExpression(filters=[of_these, *filters], **more)
            found = self.searched(TrialComponent, expression, sort_by="TrialComponentName", sort_order="Ascending")
            return [one.trial_component_name for one in found]

        vision = NestedFilter("Parents", [Filter("Parents.ExperimentName", Operator.EQUALS, "Searched")])
        sweep = [Filter("Tags.Key", Operator.EQUALS, "sweep"), Filter("Tags.Value", Operator.EQUALS, "number 3")]
        rate, name = Filter("Parameters.rate", Operator.EQUALS, "0.1"), Filter("Parameters.name", None, "n3")
        either = SearchExpression(filters=[rate, name], boolean_operator=BooleanOperator.OR)
        compared = {told: names(Filter("Parameters.rate", *test)) for told, test in COMPARED.items()}
        return compared | {
            "all": names(),
            "not_equal": names(Filter("Parameters.name", Operator.NOT_EQUALS, "n1")),
            "failed": names(Filter("Status.PrimaryStatus", Operator.EQUALS, "Failed")),
            "by_parent": names(Filter("Parents.TrialName", Operator.EQUALS, "searched-second")),
            "by_nested_parent": names(nested_filters=[vision]),
            "by_tag": names(Filter("Tags.sweep", Operator.EQUALS, "number 2")),
            "by_nested_tag": names(nested_filters=[NestedFilter("Tags", sweep)]),
            "by_either": names(sub_expressions=[either]),
        }

    def _of_experiments(self) -> dict[str, list[str]]:
        def names(*filters: Filter, **more: Any) -> list[str]:
            found = self.searched(Experiment, SearchExpression(filters=list(filters)), **more)
            return [one.experiment_name for one in found if one.experiment_name.startswith("Searched")]

        contains = Filter("ExperimentName", Operator.CONTAINS, "Searched")
        return {
            "youngest_first": names(contains, sort_by="CreationTime"),
            "by_name": names(contains, sort_by="ExperimentName", sort_order="Ascending", max_results=1),
            "described": names(contains, Filter("Description", Operator.EXISTS)),
            "by_tag": names(Filter("Tags.team", Operator.EQUALS, "speech")),
        }

    def _details(self) -> dict[str, Any]:
        """What the client shows of what it found."""

        def one(kind: Any, name: str, value: str) -> Any:
            (found,) = self.searched(kind, SearchExpression(filters=[Filter(name, None, value)]))
            return found

        component = one(TrialComponent, "TrialComponentName", "searched-0")
        summaries = one(Trial, "TrialName", "searched-first").trial_component_summaries
        return {
            "parents": component.parents,
            "component_tags": component.tags,
            "parameters": component.parameters,
            "summaries": sorted(summary["TrialComponentName"] for summary in summaries),
            "experiment_tags": one(Experiment, "ExperimentName", "Searched").tags,
        }

    def tags(self) -> Any:
        """Tags of a thing of each kind: added, replaced, removed."""
        made = self.experiment("Tagged")
        arns = {
            "experiment": made.experiment_arn,
            "trial": made.create_trial("tagged-trial").trial_arn,
            "component": self.create("tagged-component").trial_component_arn,
        }
        told = {}
        for kind, arn in arns.items():
            self.client.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
            self.client.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "c", "Value": "3"}])
            self.client.delete_tags(ResourceArn=arn, TagKeys=["c", "d"])
            told[kind] = sorted((one["Key"], one["Value"]) for one in self.client.list_tags(ResourceArn=arn)["Tags"])
        return told

    def search_by_nothing(self) -> Any:
        expression = SearchExpression(filters=[Filter("Colour", Operator.EQUALS, "red")])
        return self.searched(TrialComponent, expression)

    def search_in_no_order(self) -> Any:
        return self.searched(TrialComponent, None, sort_by="Tags")

    def search_with_a_bad_token(self) -> Any:
        return self.client.search(Resource="ExperimentTrialComponent", NextToken="AAAA")

    def tag_of_a_trial(self) -> Any:
        return self.create("not-in-a-trial", tags=[{"Key": "trial:sneaked-in", "Value": ""}])

    def tags_of_nothing(self) -> Any:
        return self.client.list_tags(ResourceArn="arn:aws:sagemaker:eu-west-1:000000000000:endpoint/x")
