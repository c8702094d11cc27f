from rest_framework.response import Response
from rest_framework.views import APIView

from .models import Order


class Orders(APIView):
    """A user's own orders; a service, which has none, sees all of them."""

    def get(self, request):
        user = request.user
        if getattr(user, "pk", None) is None:
            return Response({"service": str(user), "orders": list(Order.objects.values_list("text", flat=True))})
        orders = Order.objects.filter(owner=user).values_list("text", flat=True)
        return Response({"id": user.pk, "username": user.get_username(), "orders": list(orders)})
